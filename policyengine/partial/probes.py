"""What the formula of a rule depends on besides the unknown entity: so that it is worked out once for equal answers.

A rule's probes are its largest parts that can be evaluated from what is known. Two requests for which all probes give
the same have the same formula.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.ir.nodes import Const, Expr, Root, Rule
from policyengine.ir.walk import children
from policyengine.model.values import Entity, Fault
from policyengine.partial.asking import Asking
from policyengine.partial.formula import All, Formula, Opaque, Some, Sourced

# Longer collections are not worth comparing.
MAX_ELEMENTS = 64
_SIMPLE = frozenset((str, int, float, bool, type(None), datetime, timedelta, IPv4Address, IPv6Address))
_ERRS = "errs"


class Unrepeatable(Exception):
    """Something that cannot be compared with what was asked before."""


def probes(rules: Iterable[Rule], asking: Asking) -> tuple[Expr, ...]:
    """The probes of all the rules, each once."""
    found: dict[Expr, None] = {}
    for rule in rules:
        todo: list[Expr] = [rule.condition, *(e for spec in rule.obligations for _, e in spec.properties)]
        while todo:
            expr = todo.pop()
            if isinstance(expr, Const):
                continue
            if asking.depends(expr):
                todo.extend(children(expr))
            else:
                found[expr] = None
    return tuple(found)


def names_principal(rules: Iterable[Rule]) -> bool:
    """Whether the head of one of the rules asks who the principal is, or what it is in."""
    return any(r.head.principal.entities is not None or r.head.principal.within is not None for r in rules)


def answers(probes: Iterable[Expr], with_principal: bool, asking: Asking) -> Hashable:
    """What the probes give for a request. Raises Unrepeatable if that cannot be compared."""
    found = [_answer(expr, asking) for expr in probes]
    if with_principal:
        found.append(_place(asking.request.principal, asking))
    return tuple(found)


def repeatable(formula: Formula) -> bool:
    """Whether the formula is the same for another request with the same answers."""
    if isinstance(formula, All | Some):
        return all(map(repeatable, formula.items))
    return not isinstance(formula, Opaque | Sourced)


def _answer(expr: Expr, asking: Asking) -> Hashable:
    try:
        value = evaluate(expr, asking.env)
    except EvaluationError:
        return _ERRS
    if isinstance(expr, Root):
        # Only its place in the hierarchy can matter: what is read of it is a probe of its own.
        if value.__class__ is not Entity:
            raise Unrepeatable
        return _place(value, asking)
    return _frozen(value, asking)


def _frozen(value: Any, asking: Asking) -> Hashable:
    kind = value.__class__
    if kind in _SIMPLE:
        return (kind, value)
    if kind is tuple and len(value) <= MAX_ELEMENTS:
        return tuple([_frozen(item, asking) for item in value])
    if kind is Entity and value.attributes.keys() <= {"type", "id"}:
        return _place(value, asking)
    raise Unrepeatable


def _place(entity: Entity, asking: Asking) -> Hashable:
    try:
        return (Entity, entity.uid, asking.world.ancestors(entity))
    except Fault:
        return (Entity, entity.uid, _ERRS)
