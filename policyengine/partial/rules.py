"""From rules to formulas: when one applies, when some of them together allow."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from policyengine.evaluate.interpret import EvaluationError, in_scope
from policyengine.ir.nodes import Head, Rule, Scope
from policyengine.partial.asking import Asking, Unknown
from policyengine.partial.conditions import condition, defined
from policyengine.partial.formula import FALSE, TRUE, Formula
from policyengine.partial.logic import conj, disj
from policyengine.partial.outcome import ALWAYS, ERRS, NEVER, Outcome, both
from policyengine.partial.within import among, inside_of


def combined(
    permits: Sequence[Rule],
    others: Sequence[Rule],
    asking: Asking,
    fulfilled: Collection[str],
    approved: Collection[str],
) -> Formula:
    """When one of the permits grants the request, and no other rule stands in its way."""
    granted = grants(permits, asking)
    return FALSE if granted == FALSE else conj(granted, lets_pass(others, asking, fulfilled, approved))


def grants(permits: Sequence[Rule], asking: Asking) -> Formula:
    return disj(*(applies(rule, asking).true for rule in permits))


def lets_pass(
    others: Sequence[Rule], asking: Asking, fulfilled: Collection[str] = (), approved: Collection[str] = ()
) -> Formula:
    return conj(*(_passes(rule, asking, fulfilled, approved) for rule in others))


def _passes(rule: Rule, asking: Asking, fulfilled: Collection[str], approved: Collection[str]) -> Formula:
    """When a rule that is no permit leaves the request allowed."""
    found = applies(rule, asking)
    if rule.kind == "limit":
        # One that nobody meters denies as well, where it applies.
        return found.defined if rule.name in approved else found.false
    if rule.kind == "forbid":
        return found.false
    if rule.demands_approval:
        # Its other obligations are part of the approval.
        return TRUE if rule.name in approved else found.false
    if any(spec.type not in fulfilled for spec in rule.obligations):
        return found.false
    told = conj(*(defined(expr, asking) for spec in rule.obligations for _, expr in spec.properties))
    return disj(found.false, told)


def applies(rule: Rule, asking: Asking) -> Outcome:
    """The outcome of a rule: its scope, then its condition."""
    scope = _scope(rule.head, asking)
    if scope in (NEVER, ERRS):
        return scope
    return both([scope, condition(rule.condition, asking)])


def _scope(head: Head, asking: Asking) -> Outcome:
    request = asking.request
    for scope, entity in ((head.resource, request.resource), (head.principal, request.principal)):
        if scope.types is not None and entity.uid.type not in scope.types:
            return NEVER
    parts = [place(head.resource, asking, "resource"), place(head.principal, asking, "principal")]
    return both(parts)


def place(scope: Scope, asking: Asking, which: Unknown) -> Outcome:
    """Whether the entity in this place is among those that a head names."""
    if asking.unknown != which:
        return _settled(scope, asking, which)
    parts = []
    if scope.entities is not None:
        parts.append(among(scope.entities, asking))
    if scope.within is not None:
        parts.append(inside_of(scope.within, asking, itself_first=True))
    return both(parts)


def _settled(scope: Scope, asking: Asking, place: Unknown) -> Outcome:
    anything = Scope()
    head = Head(None, scope, anything) if place == "resource" else Head(None, anything, scope)
    try:
        return ALWAYS if in_scope(head, asking.env) else NEVER
    except EvaluationError:
        return ERRS
