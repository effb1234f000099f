"""Warnings about parts of policies that are not enforced, for the commands that accept such policies."""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.ir.nodes import PolicySet
from policyengine.release.policy_notes import buffered_by


def not_in_force(sets: Iterable[PolicySet], metered: bool) -> list[str]:
    """A line for rules on trial, one for limits, unless every evaluation is `metered`, and one for claims, if there are
    any."""
    policies = list(sets)
    limits = sorted({rule.name for each in policies for rule in each.rules if rule.kind == "limit"})
    claims = sorted({claim.name for each in policies for claim in each.proofs})
    tried = sorted({rule.name for each in policies for rule in each.tried})
    lines = []
    if tried:
        lines.append(f"rules with `on match log` change nothing, and say what they would have done ({_few(tried)})")
    if limits and not metered:
        lines.append(
            f"evaluations charge nothing, so they deny where a limit applies ({_few(limits)}): /v1/authorize charges, "
            'and so does each evaluation with the setting evaluation = "authorize"'
        )
    if claims:
        lines.append(f"nothing proves claims yet: they are checked for names and types only ({_few(claims)})")
    return lines


def streams(sets: Iterable[PolicySet]) -> list[str]:
    """Whether a released text can be streamed as it comes, if the policies have rules about releases."""
    lines = []
    for rules in filter(None, map(buffered_by, sets)):
        lines.append(
            f"a stream that is released waits for its end, as rules look at the whole text ({_few(list(rules))})"
        )
    return lines


def _few(names: list[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
