"""What is known about release policies before any text arrives: whether streams must wait for their end, and misspelt
kinds.
"""

from __future__ import annotations

from collections.abc import Iterator

from policyengine.detect.finding import covers
from policyengine.detect.registry import registry
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.ir.nodes import Attribute, Const, Contains, Expr, PolicySet, Rule
from policyengine.ir.walk import walk
from policyengine.release.release_check import OUTPUT
from policyengine.release.text_needs import KINDS, ORDERS, applying, needs, output

RELEASE = "release"


def buffered_by(policies: PolicySet) -> tuple[str, ...] | None:
    """The rules that read the whole text, so that a stream waits for its end; empty if it does not have to. None for
    policies that say nothing about `release`."""
    rules = [rule for rule in applying(policies.rules, RELEASE, OUTPUT) if rule.head.actions is not None]
    return needs([rule for rule in rules if not rule.cuts], output).rules if rules else None


def misspelt_kinds(policies: PolicySet) -> list[Diagnostic]:
    """A warning for each kind that no finder finds and that resembles a known one. Other kinds may come from plugged-in
    finders, which are unknown here."""
    known = registry().kinds
    groups = {".".join(kind.split(".")[:many]) for kind in known for many in range(1, len(kind.split(".")) + 1)}
    diagnostics: list[Diagnostic] = []
    for rule in (*policies.rules, *policies.tried):
        for kind, place in _kinds(rule):
            if any(covers(kind, each) for each in known):
                continue
            if help_ := did_you_mean(kind, groups):
                message = f"no built-in finder finds `{kind}`"
                diagnostics.append(Diagnostic(codes.UNKNOWN_KIND, place.span, message, "", help_))
    return diagnostics


def _kinds(rule: Rule) -> Iterator[tuple[str, Expr]]:
    """The kinds that a rule names, each with its place."""
    for obligation in rule.obligations:
        for name, value in obligation.properties:
            if obligation.type in ORDERS and name == "kinds" and isinstance(value, Const):
                yield from ((kind, value) for kind in sorted(value.value))
    for expr in walk(rule.condition):
        match expr:
            case Contains(item=Const(value=str(kind)) as item, collection=Attribute(name=name)) if name == KINDS:
                yield kind, item
