"""The attribute that a rule reads before anything else: where it has no value, the rule errs, and for that reason.

A missing attribute is often read by very many rules. So it is found out once for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable

from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule

Key = tuple[Hashable, ...]


class FirstReads:
    """Remembers which attribute each rule reads first."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[str, tuple[Key, ir.Attribute] | None] = {}

    def faults(self, rules: list[Rule], env: Env) -> dict[str, tuple[str, str]]:
        """Why rules err, by their names, where it is what they read first: code and message."""
        tried: dict[Key, tuple[str, str] | None] = {}
        found: dict[str, tuple[str, str]] = {}
        for rule in rules:
            name = rule.name
            if name not in self._known:
                self._known[name] = _of(rule)
            read = self._known[name]
            if read is None:
                continue
            key, attribute = read
            if key not in tried:
                tried[key] = _fault(attribute, env)
            fault = tried[key]
            if fault is not None:
                found[name] = fault
        return found


def _fault(attribute: ir.Attribute, env: Env) -> tuple[str, str] | None:
    try:
        evaluate(attribute, env)
    except EvaluationError as error:
        return error.code, error.message
    return None


def _of(rule: Rule) -> tuple[Key, ir.Attribute] | None:
    scopes = (rule.head.resource, rule.head.principal)
    if any(scope.entities is not None or scope.within is not None for scope in scopes):
        return None
    first = _first(rule.condition)
    if first is None or not isinstance(first.base, ir.Root):
        return None
    return (first.base.name, first.name, str(first.type), first.owners), first


def _first(expr: ir.Expr) -> ir.Attribute | None:
    """The attribute that is evaluated before anything that could err or decide."""
    match expr:
        case ir.Attribute(base=ir.Root()):
            return expr
        case ir.Attribute(base=base) | ir.Identity(base=base) | ir.Has(base=base):
            return _first(base)
        case ir.And(items=items) | ir.Or(items=items):
            return _first(items[0])
        case ir.Not(operand=one) | ir.Negate(operand=one) | ir.Like(operand=one) | ir.Is(entity=one):
            return _first(one)
        case ir.Quantifier(collection=one) | ir.If(condition=one):
            return _first(one)
        case ir.Compare(left=one, right=other) | ir.Equal(left=one, right=other):
            return _first(other if isinstance(one, ir.Const) else one)
        case ir.Contains(item=one, collection=other) | ir.Within(entity=one, target=other):
            return _first(other if isinstance(one, ir.Const | ir.Root) else one)
    return None
