"""What a formula is true of: the specification that every other implementation of formulas is proved equal to.

A thing is an entity as a request would carry it. Everything here uses the guard and the operators of the language.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from policyengine.diagnostics import codes
from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.model import operators
from policyengine.model.argument_sources import read_about
from policyengine.model.entities import ABSENT, World
from policyengine.model.request import Request
from policyengine.model.types import JSON, Type, element_of
from policyengine.model.values import Entity, Fault, Uid, guard
from policyengine.partial.formula import (
    ID,
    All,
    Below,
    Elements,
    Formula,
    Inside,
    Matching,
    Missing,
    OfType,
    OneOf,
    Opaque,
    Path,
    Present,
    Relation,
    Sized,
    Some,
    Sourced,
    Truth,
    TwoFields,
)
from policyengine.partial.gap import Unknown


def satisfies(formula: Formula, thing: Entity, world: World, unknown: Unknown = "resource") -> bool:
    """Whether the formula is true of the thing. Never raises because of the thing's content."""
    match formula:
        case Truth(value=value):
            return value
        case All(items=items):
            return all(satisfies(item, thing, world, unknown) for item in items)
        case Some(items=items):
            return any(satisfies(item, thing, world, unknown) for item in items)
        case Sourced(ids=ids, formula=of):
            return thing.uid.id in ids and satisfies(of(thing.uid.id), thing, world, unknown)
        case Opaque():
            return _evaluated(formula, thing, unknown)
    try:
        return _atom(formula, thing, world)
    except Fault:
        return False


def _atom(atom: Any, thing: Entity, world: World) -> bool:
    match atom:
        case OfType(path=path, type=type_):
            value(thing, path, type_)
            return True
        case Present(path=path):
            return find(thing, path) is not ABSENT
        case Missing(path=path):
            return find(thing, path) is ABSENT
        case Relation(path=path, type=type_, op=op, value=constant):
            return related(op, value(thing, path, type_), constant, type_)
        case OneOf(path=path, type=type_, values=values, negated=negated):
            return operators.contains(values, value(thing, path, type_), type_) is not negated
        case Elements(path=path, type=type_):
            return overlaps(atom, value(thing, path, type_))
        case Matching(path=path, type=type_, pieces=pieces, negated=negated):
            return operators.like(value(thing, path, type_), pieces) is not negated
        case Sized(path=path, type=type_, op=op, count=count):
            return related(op, operators.size(value(thing, path, type_), type_), count, JSON)
        case TwoFields(path=path, type=type_, op=op, other=other, other_type=other_type):
            return related(op, value(thing, path, type_), value(thing, other, other_type), type_)
        case Below(path=path, type=type_, targets=targets, negated=negated):
            entity = value(thing, path, type_)
            over = world.ancestors(entity)
            return (entity.uid in targets or not targets.isdisjoint(over)) is not negated
        case Inside(targets=targets, negated=negated):
            return targets.isdisjoint(world.ancestors(thing)) is negated
        case _:
            assert_never(atom)


def find(thing: Entity, path: Path) -> Any:
    """The raw value at a path, or ABSENT. Raises Fault if something on the way is not an object."""
    if path == ID:
        return thing.uid.id
    raw_value: Any = thing.attributes
    for name in path:
        if type(raw_value) is not dict:
            raise Fault(codes.WRONG_VALUE.id, "expected an object")
        raw_value = raw_value.get(name, ABSENT)
    return raw_value


def value(thing: Entity, path: Path, type_: Type) -> Any:
    """The value at a path, guarded. Raises Fault if there is none of the type."""
    raw = find(thing, path)
    if raw is ABSENT:
        raise Fault(codes.MISSING.id, "an attribute is missing")
    return guard(raw, type_)


def related(op: str, left: Any, right: Any, type_: Type) -> bool:
    if op in ("==", "!="):
        return operators.equal(left, right, type_) is (op == "==")
    return operators.compare(op, left, right)


def overlaps(atom: Elements, found: tuple[Any, ...]) -> bool:
    """Whether a guarded collection holds the constants as the atom requires."""
    element = element_of(atom.type) or JSON
    match atom.kind:
        case "any" | "none":
            if len(atom.values) == 1:
                return operators.contains(found, atom.values[0], element) is (atom.kind == "any")
            return operators.contains_any(found, atom.values, element) is (atom.kind == "any")
        case "all" | "lacks":
            return operators.contains_all(found, atom.values, element) is (atom.kind == "all")
        case "only" | "other":
            return operators.contains_all(atom.values, found, element) is (atom.kind == "only")
        case _:
            assert_never(atom.kind)


def _evaluated(atom: Opaque, thing: Entity, unknown: Unknown) -> bool:
    env = atom.env
    assert env is not None, "a formula with holes is true of nothing"
    try:
        request = _about(thing, env.request, unknown)
        # The provenance in the request is read once, for all resources.
        read = read_about(request, env.world, env.read) if unknown == "resource" else env.read
        result = evaluate(atom.expr, replace(env, request=request, read=read))
    except EvaluationError:
        return False
    return atom.wanted is None or bool(result) is atom.wanted


def _about(thing: Entity, request: Request, unknown: Unknown) -> Request:
    """The request about the thing. The request's own attributes already take precedence."""
    if unknown == "nothing":
        return request
    known = (request.resource if unknown == "resource" else request.principal).attributes
    whole = (
        Entity(Uid(thing.uid.type, known.get("id", thing.uid.id)), {**thing.attributes, **known}) if known else thing
    )
    return replace(request, resource=whole) if unknown == "resource" else replace(request, principal=whole)
