"""Membership, overlap and quantifiers where the collection, or what is looked for in it, is of the unknown entity."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policyengine.ir.nodes import Call, Collection, Contains, Equal, Expr, Local, Not, Quantifier, Within
from policyengine.model import operators
from policyengine.model.types import INT, JSON, NUMBER, STRING, Type, element_of
from policyengine.model.values import Entity, Fault, guard
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import holds, one_of, plain, there
from policyengine.partial.formula import ID, Formula, Holds, Kind, Path
from policyengine.partial.logic import conj, disj
from policyengine.partial.outcome import ERRS, Outcome, Told
from policyengine.partial.reading import Erring, Itself, Known, Read, reading
from policyengine.partial.within import above

# What is true of a collection exactly when the other is false of it.
_OPPOSITE: dict[Kind, Kind] = {
    "any": "none", "none": "any", "all": "lacks", "lacks": "all", "only": "other", "other": "only",
}  # fmt: skip


def containment(expr: Contains, asking: Asking) -> Outcome | None:
    """`item in collection`."""
    item = reading(expr.item, asking)
    if isinstance(item, Erring):
        return ERRS
    if isinstance(expr.collection, Collection):
        return _among_own(item, expr.collection, asking)
    match item, reading(expr.collection, asking):
        case _, Erring():
            return ERRS
        case Read(path=path, type=type_), Known(value=values) if plain(type_):
            usable = among(values, type_)
            if usable is not None:
                true, false = one_of(path, type_, usable), one_of(path, type_, usable, True)
                return Told(true, false, there(path, type_))
        case Itself(), Known(value=values):
            ids = [v.uid.id for v in values if v.__class__ is Entity and v.uid.type == asking.type]
            if "id" not in asking.known and among(values, expr.item.type) is not None:
                return Told(one_of(ID, STRING, ids), one_of(ID, STRING, ids, True), there(ID, STRING))
        case Known(value=value), Read(path=path, type=type_):
            return _of_collection(path, type_, "any", (value,))
    return None


def _among_own(item: object, collection: Collection, asking: Asking) -> Outcome | None:
    """A known value among values of the unknown entity, written as a list: each of them is read first."""
    parts = [reading(part, asking) for part in collection.items]
    if not isinstance(item, Known) or not all(isinstance(p, Read) and plain(p.type) for p in parts):
        return None
    reads = [p for p in parts if isinstance(p, Read)]
    every = conj(*(there(p.path, p.type) for p in reads))
    usable = [(p, among((item.value,), p.type)) for p in reads]
    return Told(
        conj(every, disj(*(one_of(p.path, p.type, v or ()) for p, v in usable))),
        conj(*(one_of(p.path, p.type, v or (), True) for p, v in usable)),
        every,
    )


def overlap(expr: Call, asking: Asking) -> Outcome | None:
    """`contains_any` and `contains_all`."""
    left, right = (reading(arg, asking) for arg in expr.args)
    if isinstance(left, Erring) or isinstance(right, Erring):
        return ERRS
    every = expr.function == "contains_all"
    match left, right:
        case Read(path=path, type=type_), Known(value=values):
            return _of_collection(path, type_, "all" if every else "any", values)
        case Known(value=values), Read(path=path, type=type_):
            return _of_collection(path, type_, "only" if every else "any", values)
    return None


def every_element(expr: Quantifier, path: Path, type_: Type, asking: Asking) -> Outcome | None:
    """A quantifier over a collection of the unknown entity, where the body asks whether the element is one of known
    values."""
    body, inside = expr.body, True
    while isinstance(body, Not):
        body, inside = body.operand, not inside
    if isinstance(body, Equal) and body.negated:
        inside = not inside
    values = _wanted(body, expr.slot, asking)
    if values is None:
        return None
    kinds: dict[tuple[str, bool], Kind] = {
        ("any", True): "any", ("any", False): "other", ("all", True): "only", ("all", False): "none",
    }  # fmt: skip
    return _of_collection(path, type_, kinds[expr.kind, inside], values)


def _wanted(body: Expr, slot: int, asking: Asking) -> Iterable[Any] | None:
    """The values of the variable for which the body is true, where it is false for all others; None if that cannot be
    told."""
    match body:
        case Equal(left=Local(slot=s), right=other) | Equal(left=other, right=Local(slot=s)) if s == slot:
            found = reading(other, asking)
            return (found.value,) if isinstance(found, Known) else None
        case Contains(item=Local(slot=s), collection=other) if s == slot:
            found = reading(other, asking)
            return found.value if isinstance(found, Known) else None
        case Within(entity=other, target=Local(slot=s)) if s == slot:
            found = reading(other, asking)
            return above(found.value, asking) if isinstance(found, Known) else None
    return None


def _of_collection(path: Path, type_: Type, kind: Kind, values: Iterable[Any]) -> Outcome | None:
    element = element_of(type_) or JSON
    if plain(element):
        usable = among(values, element)
        if usable is None:
            return None
        # A value that no element can be is never there, and so always lacking.
        if kind in ("all", "lacks") and len(usable) < len(tuple(values)):
            always = there(path, type_)
            never: Formula = holds(path, type_, "any", ())
            return Told(never, always, always) if kind == "all" else Told(always, never, always)
        true, false = holds(path, type_, kind, usable), holds(path, type_, _OPPOSITE[kind], usable)
        return Told(true, false, there(path, type_))
    if kind != "any" or element != JSON or among(values, JSON) is None:
        return None
    # Json elements are looked at from left to right, up to one that cannot be compared.
    found, missing = Holds(path, type_, "any", tuple(values)), Holds(path, type_, "none", tuple(values))
    return Told(found, missing, disj(found, missing)) if len(found.values) == 1 else None


def among(values: Iterable[Any], type_: Type) -> list[Any] | None:
    """Those of the values that a value of the type can be; None if some cannot be compared with anything."""
    usable = []
    for value in values:
        try:
            operators.key(value)
        except Fault:
            return None
        if value.__class__ is Entity or type_ == JSON:
            usable.append(value)
            continue
        try:
            # An Int may equal a Number that is none.
            usable.append(guard(value, NUMBER if type_ == INT else type_))
        except Fault:
            continue
    return usable
