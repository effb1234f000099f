"""Checks that the limits of an evaluation are metered.

An evaluation charges nothing. If a limit applies, it is a denial with the reason `metering_required`, unless the caller
says in `context.metered_limits` that it meters that limit: `true` for all, or their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from policyengine.bounded_cache import BoundedCache
from policyengine.model.decision import Decision, RuleError
from policyengine.server.obligations import negotiate

REQUIRED = "metering_required"
MEMBER = "metered_limits"


def declared(context: Mapping[str, Any], limits: frozenset[str]) -> frozenset[str]:
    """Those of the `limits` that the caller says it meters."""
    metered = context.get(MEMBER)
    if metered is True:
        return limits
    return limits.intersection(metered) if type(metered) is list else frozenset()


def answered(decision: Decision, context: Mapping[str, Any]) -> Decision:
    """The decision for a caller with this request context: an allow that it cannot honour is a deny."""
    if decision.obligations:
        decision = negotiate(decision, context)
    if not decision.limits or decision.decision != "allow":
        return decision
    missing = frozenset(decision.limits) - declared(context, frozenset(decision.limits))
    return _unmetered(decision, missing) if missing else decision


def _unmetered(decision: Decision, missing: frozenset[str]) -> Decision:
    known: tuple[Decision, frozenset[str], Decision] | None = _denials.get(id(decision))
    if known is not None and known[0] is decision and known[1] == missing:
        return known[2]
    names = ", ".join(f"`{name}`" for name in sorted(missing))
    why = f"not metered: {names}. Authorize the request, or state in `context.{MEMBER}` that the caller meters"
    denial = replace(
        decision,
        decision="deny",
        determining=tuple(sorted(missing)),
        reasons=(REQUIRED,),
        obligations=(),
        labels=(),
        errors=(RuleError("", REQUIRED, why), *decision.errors),
    )
    _denials[id(decision)] = decision, missing, denial
    return denial


# The engine returns the same decision object for the same outcome. By identity, with the decision itself, so that an
# identity is not reused while its denial is kept.
_denials: BoundedCache[int, tuple[Decision, frozenset[str], Decision]] = BoundedCache(4096)
