"""The executable specification: the value of an expression for a request.

In: a typed expression and an Env. Out: its value, or an EvaluationError that names the innermost expression without a
value. This module is written to be read; every faster evaluator is proved equal to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from policyengine.diagnostics import codes
from policyengine.diagnostics.source import Span
from policyengine.evaluate.tool_arguments import take
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Expr, Head, Scope
from policyengine.ir.walk import counted_values, varies
from policyengine.model import operators
from policyengine.model.aggregates import summed
from policyengine.model.argument_sources import ProvenanceRead, sources
from policyengine.model.entities import ABSENT, World
from policyengine.model.functions import FUNCTIONS, type_argument
from policyengine.model.quantifier_cost import look_through, looks
from policyengine.model.refined import refined
from policyengine.model.request import Action, Request
from policyengine.model.types import JSON, Type, element_of
from policyengine.model.values import DIFFERING, Entity, Fault, guard, wrong_type


class EvaluationError(Exception):
    """Raised for an expression that has no value for this request."""

    def __init__(self, code: str, message: str, span: Span | None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span


@dataclass(frozen=True, slots=True)
class Env:
    """Everything that an expression can read."""

    request: Request
    world: World
    locals: Mapping[int, Any] = field(default_factory=dict)
    # The position of each of these among the elements. If a collection is the same for all elements of the quantifiers
    # around it, it is traversed once for all of them.
    positions: Mapping[int, int] = field(default_factory=dict)
    kept: dict[int, frozenset[Any]] | None = None
    looks: int = 1
    # What is already known about the provenance in this request.
    read: ProvenanceRead = field(default_factory=dict, repr=False)

    def over(self, elements: Sequence[Any]) -> Env:
        """The Env within a quantifier over these elements. Raises Fault if there are too many."""
        kept = {} if self.kept is None else self.kept
        return replace(self, kept=kept, looks=looks(self.looks, elements, bool(self.locals)))

    def binding(self, slot: int, position: int, value: Any) -> Env:
        """The Env within a quantifier, for one of its elements."""
        return replace(self, locals={**self.locals, slot: value}, positions={**self.positions, slot: position})


def evaluate(expr: Expr, env: Env) -> Any:
    """The value of the expression. Raises EvaluationError if it has none."""
    try:
        return _evaluate(expr, env)
    except Fault as fault:
        raise EvaluationError(fault.code, fault.message, expr.span) from None


def in_scope(head: Head, env: Env) -> bool:
    """Whether a rule concerns this request. Types are tested first, because a rule for other types has nothing to do
    with this request. Raises EvaluationError if a hierarchy that matters is malformed."""
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
        case ir.Const(value=value):
            return value
        case ir.Root(name=name):
            return getattr(env.request, name)
        case ir.Local(slot=slot):
            return env.locals[slot]
        case ir.Attribute():
            return _attribute(expr, env)
        case ir.Recorded(base=base, name=name, owners=owners, type=type_):
            return guard(env.world.recorded(evaluate(base, env), name, owners), type_)
        case ir.Identity(base=base):
            named = evaluate(base, env)
            return named.name if type(named) is Action else named.uid.id
        case ir.EntityOf(name=name, id=id_):
            return env.world.known(name, evaluate(id_, env))
        case ir.Has(base=base, name=name, owners=owners):
            return raw_attribute(evaluate(base, env), name, owners, env.world) is not ABSENT
        case ir.Refine(operand=operand, shape=shape):
            return refined(evaluate(operand, env), shape)
        case ir.Arguments(tools=tools):
            return take(tools, env.request.resource, env.request.context, env.world)
        case ir.Lookup(base=base, key=key):
            return operators.lookup(evaluate(base, env), evaluate(key, env))
        case ir.HasKey(base=base, key=key):
            return operators.has_key(evaluate(base, env), evaluate(key, env))
        case ir.Expect(operand=operand, type=type_):
            return guard(evaluate(operand, env), type_)
        case ir.Not(operand=operand):
            return not evaluate(operand, env)
        case ir.And(items=items):
            return all(evaluate(item, env) for item in items)
        case ir.Or(items=items):
            return any(evaluate(item, env) for item in items)
        case ir.If(condition=condition, then=then, otherwise=otherwise):
            return evaluate(then if evaluate(condition, env) else otherwise, env)
        case ir.Equal(left=left, right=right, negated=negated):
            a, b = _counted(expr, (left, right), env)
            return operators.equal(a, b, left.type) is not negated
        case ir.Compare(op=op, left=left, right=right):
            return operators.compare(op, evaluate(left, env), evaluate(right, env))
        case ir.Arithmetic(op=op, left=left, right=right, type=type_):
            return operators.arithmetic(op, evaluate(left, env), evaluate(right, env), type_)
        case ir.Negate(operand=operand, type=type_):
            return operators.negate(evaluate(operand, env), type_)
        case ir.Contains(item=item, collection=collection):
            wanted, element = evaluate(item, env), element_of(collection.type) or JSON
            return operators.is_member(_looked_in(expr, collection, element, env), wanted, element)
        case ir.Within(entity=entity, target=target):
            below = evaluate(entity, env)
            return operators.within(below, _looked_in(expr, target, None, env), env.world.ancestors)
        case ir.Is(entity=entity, names=names):
            return evaluate(entity, env).uid.type in names
        case ir.Like(operand=operand, pattern=pattern):
            return operators.like(evaluate(operand, env), pattern)
        case ir.Quantifier(kind=kind, slot=slot, collection=collection, body=body, type=type_):
            elements = evaluate(collection, env)
            around = env.over(elements)
            if kind == "sum":
                worth = lambda n, each: evaluate(body, around.binding(slot, n, each))  # noqa: E731
                return summed(elements, worth, collection.type, type_)
            holds = (evaluate(body, around.binding(slot, n, each)) for n, each in enumerate(elements))
            return any(holds) if kind == "any" else all(holds)
        case ir.Call(function=function, args=args):
            extra = type_argument(function, *(arg.type for arg in args))
            return FUNCTIONS[function](*_counted(expr, args, env), *extra)
        case ir.Sources(path=path):
            steps = tuple(step if isinstance(step, str) else str(env.positions[step.slot]) for step in path)
            return sources(steps, env.request.resource, env.request.context, env.world, env.read)
        case ir.Collection(items=items):
            return tuple(evaluate(item, env) for item in items)
        case _:
            assert_never(expr)


def _counted(expr: Expr, parts: Sequence[Expr], env: Env) -> list[Any]:
    """The values of the parts. Raises Fault if an operator goes through more elements than the quantifiers around it
    allow."""
    values = [evaluate(part, env) for part in parts]
    for value, flat in counted_values(expr, parts, values) if env.locals else ():
        look_through(env.looks, value, flat)
    return values


def _looked_in(expr: Expr, collection: Expr, element: Type | None, env: Env) -> frozenset[Any]:
    kept = {} if env.kept is None or varies(collection) else env.kept
    if id(collection) not in kept:
        (collection_found,) = _counted(expr, (collection,), env)
        kept[id(collection)] = (
            operators.uids(collection_found) if element is None else operators.members(collection_found, element)
        )
    return kept[id(collection)]


def _attribute(expr: ir.Attribute, env: Env) -> Any:
    return guarded_attribute(raw_attribute(evaluate(expr.base, env), expr.name, expr.owners, env.world), expr)


def guarded_attribute(value: Any, expr: ir.Attribute) -> Any:
    """The value of an attribute, guarded to be of its type. Raises Fault if it is missing, contradictory or of another
    type."""
    if value is ABSENT:
        raise Fault(codes.MISSING.id, f"attribute `{expr.name}` is missing")
    if value is DIFFERING:
        raise Fault(codes.CONTRADICTION.id, f"the request says different things of one entity's `{expr.name}`")
    return guard(value, expr.type)


def raw_attribute(base: Any, name: str, owners: frozenset[str] | None, world: World) -> Any:
    """The raw value of an attribute, or ABSENT. Entities do not have attributes that their type does not declare."""
    if type(base) is Entity:
        return ABSENT if owners is not None and base.uid.type not in owners else world.find(base, name)
    if type(base) is Action:
        return base.attributes.get(name, ABSENT)
    if type(base) is not dict:
        raise wrong_type("an object", base)
    return base.get(name, ABSENT)
