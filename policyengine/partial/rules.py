"""From rules to formulas: when a rule applies, and when it leaves a request allowed.

The same steps as deciding (`evaluate/decide.py`, `evaluate/combine.py`), with formulas in place of verdicts:

    some permit is true
    every forbid is false                      one that errs denies
    every limit is false, or metered           one that errs denies
    every required approval is false or given  one that errs demands it
    the obligations have values, and the caller fulfils them all
"""

from __future__ import annotations

from typing import Literal

from policyengine.ir.nodes import Rule, Scope
from policyengine.partial.conditions import condition, defined
from policyengine.partial.formula import TRUE, Formula
from policyengine.partial.logic import conj, disj
from policyengine.partial.lowering import Lowering
from policyengine.partial.outcome import ALWAYS, ERRS, NEVER, Outcome, both
from policyengine.partial.within import inside_of, is_among

EntityPlace = Literal["resource", "principal"]
_RESOURCE: EntityPlace = "resource"
_PRINCIPAL: EntityPlace = "principal"


def allows(rule: Rule, lowering: Lowering) -> Formula:
    """When a permit grants the request, and when another rule does not prevent it."""
    outcome = applies(rule, lowering)
    if rule.kind == "permit":
        return outcome.true
    if rule.kind == "forbid":
        return outcome.false
    if outcome is NEVER:
        return TRUE
    if rule.kind == "limit":
        # A limit that nobody meters denies as well, if it applies.
        return outcome.defined if lowering.ask(lowering.holes.met(rule.name)) == "true" else outcome.false
    if rule.demands_approval:
        # Its other obligations are part of the approval.
        return TRUE if lowering.ask(lowering.holes.met(rule.name)) == "true" else outcome.false
    if lowering.ask(lowering.holes.fulfilled([spec.type for spec in rule.obligations])) == "false":
        return outcome.false
    computable = conj(*(defined(expr, lowering) for spec in rule.obligations for _, expr in spec.properties))
    return TRUE if computable is TRUE else disj(outcome.false, computable)


def applies(rule: Rule, lowering: Lowering) -> Outcome:
    """The outcome of a rule: its scope, then its condition. The types come first: a rule for other types is not
    evaluated."""
    gap, head = lowering.gap, rule.head
    for scope, type_ in ((head.resource, gap.resource), (head.principal, gap.principal)):
        if scope.types is not None and type_ not in scope.types:
            return NEVER
    parts = []
    for place, scope in ((_RESOURCE, head.resource), (_PRINCIPAL, head.principal)):
        parts.append(_place(scope, lowering, place))
        if parts[-1] is NEVER or parts[-1] is ERRS:
            return both(parts)
    return both([*parts, condition(rule.condition, lowering)])


def _place(scope: Scope, lowering: Lowering, place: EntityPlace) -> Outcome:
    """Whether the entity at this place is among those that a head names."""
    if scope.entities is None and scope.within is None:
        return ALWAYS
    if lowering.gap.unknown != place:
        answer = lowering.ask(lowering.holes.in_scope(scope, place))
        return ALWAYS if answer == "true" else NEVER if answer == "false" else ERRS
    parts = []
    if scope.entities is not None:
        parts.append(is_among(lowering.holes.entities(scope.entities), lowering))
    if scope.within is not None:
        parts.append(inside_of(lowering.holes.entities(scope.within), lowering, itself_first=True))
    return both(parts)
