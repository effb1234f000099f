"""The executable specification: what an expression is worth for a request.

In: a typed expression and an Env. Out: its value, or an EvaluationError that names the innermost expression that has
none. Written to be read; every faster evaluator is proved equal to this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from policyengine.diagnostics.source import Span
from policyengine.evaluate.arguments import take
from policyengine.evaluate.functions import FUNCTIONS
from policyengine.evaluate.provenance import sources
from policyengine.ir.nodes import (
    And,
    Arguments,
    Arithmetic,
    Attribute,
    Call,
    Collection,
    Compare,
    Const,
    Contains,
    Equal,
    Expect,
    Expr,
    Has,
    HasKey,
    Head,
    Identity,
    If,
    Is,
    Like,
    Local,
    Lookup,
    Negate,
    Not,
    Or,
    Quantifier,
    Refine,
    Root,
    Scope,
    Sources,
    Within,
)
from policyengine.model import operators
from policyengine.model.entities import ABSENT, World
from policyengine.model.refined import refined
from policyengine.model.request import Action, Request
from policyengine.model.types import JSON, EntityT, Type, element_of
from policyengine.model.values import Entity, Fault, guard, wrong_type


class EvaluationError(Exception):
    """An expression that has no value for this request."""

    def __init__(self, code: str, message: str, span: Span | None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span


@dataclass(frozen=True, slots=True)
class Env:
    """All that an expression can see."""

    request: Request
    world: World
    locals: Mapping[int, Any] = field(default_factory=dict)


def evaluate(expr: Expr, env: Env) -> Any:
    """The value of the expression. Raises EvaluationError if it has none."""
    try:
        return _evaluate(expr, env)
    except Fault as fault:
        raise EvaluationError(fault.code, fault.message, expr.span) from None


def in_scope(head: Head, env: Env) -> bool:
    """Whether a rule speaks about this request. Raises EvaluationError where a hierarchy is malformed that matters:
    the types come first, and a rule for other types has nothing to do with this request."""
    if head.actions is not None and env.request.action.name not in head.actions:
        return False
    resource, principal = env.request.resource, env.request.principal
    if not (_is_of(head.resource, resource) and _is_of(head.principal, principal)):
        return False
    return _matches(head.resource, resource, env) and _matches(head.principal, principal, env)


def _is_of(scope: Scope, entity: Entity) -> bool:
    return scope.types is None or entity.uid.type in scope.types


def _matches(scope: Scope, entity: Entity, env: Env) -> bool:
    if scope.entities is not None and entity.uid not in scope.entities:
        return False
    if scope.within is None or entity.uid in scope.within:
        return True
    try:
        return not scope.within.isdisjoint(env.world.ancestors(entity))
    except Fault as fault:
        raise EvaluationError(fault.code, fault.message, scope.span) from None


def _evaluate(expr: Expr, env: Env) -> Any:
    match expr:
        case Const(value=value):
            return value
        case Root(name=name):
            return getattr(env.request, name)
        case Local(slot=slot):
            return env.locals[slot]
        case Attribute():
            return _attribute(expr, env)
        case Identity(base=base):
            return evaluate(base, env).uid.id
        case Has(base=base, name=name, owners=owners):
            return _find(evaluate(base, env), name, owners, env) is not ABSENT
        case Refine(operand=operand, shape=shape):
            return refined(evaluate(operand, env), shape)
        case Arguments(tools=tools):
            return take(tools, env.request.resource, env.request.context, env.world)
        case Lookup(base=base, key=key):
            return operators.lookup(evaluate(base, env), evaluate(key, env))
        case HasKey(base=base, key=key):
            return operators.has_key(evaluate(base, env), evaluate(key, env))
        case Expect(operand=operand, type=type_):
            return guard(evaluate(operand, env), type_)
        case Not(operand=operand):
            return not evaluate(operand, env)
        case And(items=items):
            return all(evaluate(item, env) for item in items)
        case Or(items=items):
            return any(evaluate(item, env) for item in items)
        case If(condition=condition, then=then, otherwise=otherwise):
            return evaluate(then if evaluate(condition, env) else otherwise, env)
        case Equal(left=left, right=right, negated=negated):
            a, b = evaluate(left, env), evaluate(right, env)
            return operators.equal(a, b, left.type) is not negated
        case Compare(op=op, left=left, right=right):
            return operators.compare(op, evaluate(left, env), evaluate(right, env))
        case Arithmetic(op=op, left=left, right=right, type=type_):
            return operators.arithmetic(op, evaluate(left, env), evaluate(right, env), type_)
        case Negate(operand=operand, type=type_):
            return operators.negate(evaluate(operand, env), type_)
        case Contains(item=item, collection=collection):
            wanted = evaluate(item, env)
            return operators.contains(evaluate(collection, env), wanted, element_of(collection.type) or JSON)
        case Within(entity=entity, target=target):
            below, above = evaluate(entity, env), evaluate(target, env)
            targets = (above,) if isinstance(target.type, EntityT) else above
            return operators.within(below, targets, env.world.ancestors)
        case Is(entity=entity, names=names):
            return evaluate(entity, env).uid.type in names
        case Like(operand=operand, pattern=pattern):
            return operators.like(evaluate(operand, env), pattern)
        case Quantifier(kind=kind, slot=slot, collection=collection, body=body):
            found = (evaluate(body, _binding(env, slot, item)) for item in evaluate(collection, env))
            return any(found) if kind == "any" else all(found)
        case Call(function=function, args=args):
            return FUNCTIONS[function](*(evaluate(arg, env) for arg in args), *type_argument(function, args))
        case Sources(path=path):
            return sources(path, env.request.resource, env.request.context, env.world)
        case Collection(items=items):
            return tuple(evaluate(item, env) for item in items)
        case _:
            assert_never(expr)


def _attribute(expr: Attribute, env: Env) -> Any:
    value = _find(evaluate(expr.base, env), expr.name, expr.owners, env)
    if value is ABSENT:
        raise Fault("POL501", f"attribute `{expr.name}` is missing")
    return guard(value, expr.type)


def _find(base: Any, name: str, owners: frozenset[str] | None, env: Env) -> Any:
    """The raw value of an attribute, or ABSENT. What a type does not declare, its entities do not have."""
    if type(base) is Entity:
        return ABSENT if owners is not None and base.uid.type not in owners else env.world.find(base, name)
    if type(base) is Action:
        return base.attributes.get(name, ABSENT)
    if type(base) is not dict:
        raise wrong_type("an object", base)
    return base.get(name, ABSENT)


def _binding(env: Env, slot: int, value: Any) -> Env:
    return replace(env, locals={**env.locals, slot: value})


def type_argument(function: str, args: tuple[Expr, ...]) -> tuple[Type, ...]:
    """The type that some functions need to know as well: whether two values are equal depends on their type."""
    match function:
        case "size":
            return (args[0].type,)
        case "contains_any" | "contains_all":
            return (element_of(args[0].type) or JSON,)
    return ()
