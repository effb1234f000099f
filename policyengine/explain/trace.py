"""What a rule says about a request, part by part, as data.

In: a rule, or an expression, and an Env. Out: whether the head fits and why not, and the value of every part of the
condition that evaluation reaches. Built on the interpreter alone: the language has no effects, so a part has the same
value by itself as within the whole. Never raises for what a request holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from policyengine.diagnostics.source import Span
from policyengine.evaluate.interpret import Env, EvaluationError, evaluate, in_scope
from policyengine.ir.nodes import (
    And,
    Attribute,
    Const,
    Expect,
    Expr,
    Identity,
    If,
    Local,
    Or,
    Quantifier,
    Recorded,
    Refine,
    Root,
    Rule,
    Scope,
    Sources,
)
from policyengine.ir.walk import children
from policyengine.model.aggregates import different
from policyengine.model.decision import RuleError
from policyengine.model.values import Entity, Fault, Uid

# If no single element decided a quantifier, this many elements are shown; only one if quantifiers are nested.
SHOWN = 3

Outcome = Literal["held", "did not hold", "error", "not in scope"]


@dataclass(frozen=True, slots=True)
class Value:
    """The value of an expression, in the form that values have inside the engine."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an expression has no value; `span` is the innermost expression that has none."""

    code: str
    message: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class Element:
    """The element of a collection that a quantifier's body was evaluated for; `index` counts from 0."""

    name: str
    index: int
    value: Any


@dataclass(frozen=True, slots=True)
class Trace:
    """One expression and what became of it. `result` is None where evaluation never came here.

    `parts` are its direct parts in the order of evaluation; what only reads the request has none. Those of a quantifier
    are its collection, then its body for the element that decided it, or else for the first few of `count` elements.
    """

    expr: Expr
    result: Value | Failure | None
    parts: tuple[Trace, ...] = ()
    element: Element | None = None
    count: int | None = None

    @property
    def span(self) -> Span:
        return self.expr.span

    def is_worth(self, value: bool) -> bool:
        return isinstance(self.result, Value) and self.result.value is value


@dataclass(frozen=True, slots=True)
class ScopeCheck:
    """One thing that a rule's head demands of the principal or resource, and whether it is met."""

    subject: Literal["resource", "principal"]
    kind: Literal["type", "entity", "hierarchy"]
    held: bool
    message: str


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """What one rule said. `condition` is None where the rule was not in scope."""

    rule: Rule
    outcome: Outcome
    scope: tuple[ScopeCheck, ...]
    condition: Trace | None = None
    error: RuleError | None = None


# ---- one rule ----


def trace_rule(rule: Rule, env: Env) -> RuleTrace:
    """What a rule says about a request of its action."""
    checks = tuple(_scope_checks(rule, env))
    try:
        within = in_scope(rule.head, env)
    except EvaluationError as error:
        return RuleTrace(rule, "error", checks, None, _rule_error(rule, error.code, error.message, error.span))
    if not within:
        return RuleTrace(rule, "not in scope", checks)
    condition = trace(rule.condition, env)
    match condition.result:
        case Failure(code=code, message=message, span=span):
            return RuleTrace(rule, "error", checks, condition, _rule_error(rule, code, message, span))
    return RuleTrace(rule, "held" if condition.is_worth(True) else "did not hold", checks, condition)


def _rule_error(rule: Rule, code: str, message: str, span: Span | None) -> RuleError:
    return RuleError(rule.name, code, message, str(span or rule.span))


def _scope_checks(rule: Rule, env: Env) -> Iterator[ScopeCheck]:
    """What the head demands, in the order of evaluation, up to the first thing that is not met."""
    pairs: tuple[tuple[Literal["resource", "principal"], Scope, Entity], ...] = (
        ("resource", rule.head.resource, env.request.resource),
        ("principal", rule.head.principal, env.request.principal),
    )
    for subject, scope, entity in pairs:
        for check in _checks(subject, scope, entity, env):
            yield check
            if not check.held:
                return


def _checks(subject: Literal["resource", "principal"], scope: Scope, entity: Entity, env: Env) -> Iterator[ScopeCheck]:
    uid = entity.uid
    if scope.types is not None:
        names = " or ".join(f"`{name}`" for name in sorted(scope.types))
        yield ScopeCheck(
            subject, "type", uid.type in scope.types, f"the {subject} is of type `{uid.type}`, the rule is for {names}"
        )
    if scope.entities is not None:
        yield ScopeCheck(
            subject,
            "entity",
            uid in scope.entities,
            f"the {subject} is `{uid}`, the rule is for {_uids(scope.entities)}",
        )
    if scope.within is not None:
        try:
            held = uid in scope.within or not scope.within.isdisjoint(env.world.ancestors(entity))
            message = f"the {subject} is {'' if held else 'not '}in {_uids(scope.within)}"
        except Fault as fault:
            held, message = False, fault.message
        yield ScopeCheck(subject, "hierarchy", held, message)


def _uids(uids: Collection[Uid]) -> str:
    return " or ".join(f"`{uid}`" for uid in sorted(uids))


# ---- expressions ----


def trace(expr: Expr, env: Env) -> Trace:
    """An expression with the values of its parts."""
    result: Value | Failure
    try:
        result = Value(evaluate(expr, env))
    except EvaluationError as error:
        result = Failure(error.code, error.message, error.span)
    if _only_reads(expr):
        return Trace(expr, result)
    match expr:
        case And(items=items):
            return Trace(expr, result, _until(items, False, env))
        case Or(items=items):
            return Trace(expr, result, _until(items, True, env))
        case If(condition=condition, then=then, otherwise=otherwise):
            test = trace(condition, env)
            first = trace(then, env) if test.is_worth(True) else Trace(then, None)
            second = trace(otherwise, env) if test.is_worth(False) else Trace(otherwise, None)
            return Trace(expr, result, (test, first, second))
        case Quantifier():
            return _quantifier(expr, result, env)
    return Trace(expr, result, _until(children(expr), None, env))


def _only_reads(expr: Expr) -> bool:
    """Whether the expression is a constant or a path into the request; for these, the value is enough."""
    while isinstance(expr, Attribute | Recorded | Identity | Expect | Refine):
        expr = expr.operand if isinstance(expr, Expect | Refine) else expr.base
    return isinstance(expr, Const | Root | Local | Sources)


def _until(items: tuple[Expr, ...], end: bool | None, env: Env) -> tuple[Trace, ...]:
    """The items in order; those after one that fails, or has the value `end`, are never reached."""
    traces: list[Trace] = []
    ended = False
    for item in items:
        one = Trace(item, None) if ended else trace(item, env)
        traces.append(one)
        ended = ended or isinstance(one.result, Failure) or (end is not None and one.is_worth(end))
    return tuple(traces)


def _quantifier(expr: Quantifier, result: Value | Failure, env: Env) -> Trace:
    collection = trace(expr.collection, env)
    if not isinstance(collection.result, Value):
        return Trace(expr, result, (collection, Trace(expr.body, None)))
    items = collection.result.value
    shown: list[Trace] = []
    limit = 1 if env.locals else SHOWN
    try:
        around = env.over(items)
    except Fault:
        return Trace(expr, result, (collection, Trace(expr.body, None)), None, len(items))
    for index, item in different(items, expr.collection.type) if expr.kind == "sum" else enumerate(items):
        inner = around.binding(expr.slot, index, item)
        try:
            value = evaluate(expr.body, inner)
            decided = expr.kind != "sum" and value is (expr.kind == "any")
        except EvaluationError:
            decided = True
        if decided or len(shown) < limit:
            one = replace(trace(expr.body, inner), element=Element(expr.variable, index, item))
            shown = [one] if decided else [*shown, one]
        if decided:
            break
    return Trace(expr, result, (collection, *shown), None, len(items))
