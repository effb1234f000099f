"""Equality, order and patterns between a value of the unknown entity and a known value, or another value of its own."""

from __future__ import annotations

from typing import Any

from policyengine.ir.nodes import Call, Compare, Equal, Expr, Identity
from policyengine.model import operators
from policyengine.model.types import STRING, EntityT, SetT, Type, element_of, is_numeric
from policyengine.model.values import Entity, Fault, Uid
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import one_of, plain, there
from policyengine.partial.formula import ID, Fields, Formula, Matching, Operator, Relation, Sized
from policyengine.partial.logic import conj, disj
from policyengine.partial.outcome import ALWAYS, ERRS, NEVER, Outcome, Told, negation, settled
from policyengine.partial.reading import Erring, Itself, Known, Read, Reading, reading

MIRRORED: dict[str, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
OPPOSITE: dict[str, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def equality(expr: Equal, asking: Asking) -> Outcome | None:
    found = _equal(expr, asking)
    return negation(found) if found is not None and expr.negated else found


def _equal(expr: Equal, asking: Asking) -> Outcome | None:
    sized = _size(expr.left, "==", expr.right, asking)
    if sized is not None:
        return sized
    left, right = reading(expr.left, asking), reading(expr.right, asking)
    if isinstance(left, Erring) or isinstance(right, Erring):
        return ERRS
    if isinstance(left, Known):
        left, right = right, left
        identity = expr.right
    else:
        identity = expr.left
    match left, right:
        case Read(), Known(value=value):
            return _equal_to(left.path, left.type, value, expr.left.type)
        case Itself(), Known(value=Entity(uid=uid)):
            return same_entity(uid, asking)
        case Read(), Read() if plain(left.type) and plain(right.type):
            same, other = (Fields(left.path, left.type, op, right.path, right.type) for op in ("==", "!="))
            return Told(same, other, conj(there(left.path, left.type), there(right.path, right.type)))
        case _, Known(value=str() as id_) if isinstance(identity, Identity):
            return _identity(identity, id_, asking)
    return None


def _equal_to(path: tuple[str, ...], type_: Type, value: Any, as_type: Type) -> Outcome | None:
    """A value of the unknown entity and a constant, equal as values of `as_type`."""
    try:
        operators.equal(value, value, as_type)
    except Fault:
        return ERRS
    same = Relation(path, type_, "==", value)
    other = Relation(path, type_, "!=", value)
    if plain(type_):
        return Told(same, other, there(path, type_))
    if isinstance(type_, SetT) != isinstance(as_type, SetT):
        return None
    # Whether a Json value can be compared at all depends on the value.
    return Told(same, other, disj(same, other))


def same_entity(uid: Uid, asking: Asking) -> Outcome:
    """Whether the unknown entity is this one."""
    if uid.type != asking.type:
        return NEVER
    return Told(Relation(ID, STRING, "==", uid.id), Relation(ID, STRING, "!=", uid.id), there(ID, STRING))


def _identity(expr: Identity, id_: str, asking: Asking) -> Outcome | None:
    """The id of an entity that an attribute refers to."""
    match reading(expr.base, asking):
        case Read(path=path, type=EntityT(names) as type_):
            entities = [Entity(Uid(name, id_)) for name in sorted(names)]
            return Told(one_of(path, type_, entities), one_of(path, type_, entities, True), there(path, type_))
    return None


def comparison(expr: Compare, asking: Asking) -> Outcome | None:
    sized = _size(expr.left, expr.op, expr.right, asking)
    if sized is not None:
        return sized
    left, right = reading(expr.left, asking), reading(expr.right, asking)
    op: Operator = expr.op
    if isinstance(left, Erring) or isinstance(right, Erring):
        return ERRS
    if isinstance(left, Known):
        left, right, op = right, left, MIRRORED[op]
    match left, right:
        case Read(path=path, type=type_), Known(value=value):
            holds, fails = Relation(path, type_, op, value), Relation(path, type_, OPPOSITE[op], value)
            return Told(holds, fails, there(path, type_))
        case Read(), Read() if is_numeric(left.type) and is_numeric(right.type):
            true, false = (Fields(left.path, left.type, o, right.path, right.type) for o in (op, OPPOSITE[op]))
            return Told(true, false, conj(there(left.path, left.type), there(right.path, right.type)))
    return None


def _size(left: Expr, op: Operator, right: Expr, asking: Asking) -> Outcome | None:
    """The size of a collection or text, compared with a known number."""
    if isinstance(right, Call) and right.function == "size":
        left, op, right = right, MIRRORED[op], left
    if not (isinstance(left, Call) and left.function == "size"):
        return None
    match reading(left.args[0], asking), reading(right, asking):
        case Read(path=path, type=type_), Known(value=count) if plain(element_of(type_) or type_):
            true, false = Sized(path, type_, op, count), Sized(path, type_, OPPOSITE[op], count)
            return Told(true, false, there(path, type_))
    return None


def matching(operand: Expr, pieces: tuple[str, ...], asking: Asking) -> Outcome | None:
    """A text and a glob, in pieces between its `*`."""
    found: Reading = reading(operand, asking)
    if isinstance(found, Known):
        return ALWAYS if operators.like(found.value, pieces) else NEVER
    if isinstance(found, Erring):
        return settled(found)
    if not isinstance(found, Read):
        return None
    path = found.path
    true: Formula = Matching(path, STRING, pieces)
    false: Formula = Matching(path, STRING, pieces, True)
    if len(pieces) == 1:
        true, false = Relation(path, STRING, "==", pieces[0]), Relation(path, STRING, "!=", pieces[0])
    elif not any(pieces):
        true, false = there(path, STRING), one_of(path, STRING, ())
    return Told(true, false, there(path, STRING))
