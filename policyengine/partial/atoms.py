"""Atoms in their smallest form, and the values that atoms are about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policyengine.model.types import JSON, EntityT, ListT, Prim, Type, element_of
from policyengine.model.values import Entity
from policyengine.partial.formula import (
    FALSE,
    ID,
    TRUE,
    All,
    Deferred,
    Elements,
    ElementsKind,
    Formula,
    Inside,
    Missing,
    OfType,
    OneOf,
    Opaque,
    Path,
    Present,
    Relation,
    Some,
    Sourced,
    Truth,
    TwoFields,
    is_many,
)

NeededValue = tuple[Path, Type]

# Every condition on a thing's place in a hierarchy implies this: its parents can be followed.
WELL_FORMED = Inside(frozenset(), frozenset(), True)
FOLLOWED: NeededValue = (("parents",), ListT(JSON))
_PLAIN = frozenset({"String", "Int", "Number", "Bool"})


def there(path: Path, type_: Type) -> Formula:
    """True if a value is there and of its type. The id is always there: nothing without an id that is text is a
    thing."""
    return TRUE if path == ID else OfType(path, type_)


def one_of(path: Path, type_: Type, values: Iterable[Any], negated: bool = False) -> Formula:
    """OneOf in its smallest form."""
    unique = _unique(values)
    if not unique:
        return there(path, type_) if negated else FALSE
    if len(unique) == 1 and not is_many(unique[0]):
        return Relation(path, type_, "!=" if negated else "==", unique[0])
    return OneOf(path, type_, unique, negated)


def elements(path: Path, type_: Type, kind: ElementsKind, values: Iterable[Any]) -> Formula:
    """Elements in its smallest form."""
    unique = _unique(values)
    if not unique and kind in ("any", "lacks"):
        return FALSE
    if not unique and kind in ("all", "none"):
        return there(path, type_)
    if len(unique) == 1 and not is_many(unique[0]) and kind in ("all", "lacks"):
        kind = "any" if kind == "all" else "none"
    return Elements(path, type_, kind, unique)


def needs(formula: Any) -> frozenset[NeededValue]:
    """The values that are certainly there, with their types, if the formula is true."""
    match formula:
        case All(items=items):
            return frozenset[NeededValue]().union(*(needs(item) for item in items))
        case Some(items=items):
            return frozenset[NeededValue].intersection(*(needs(item) for item in items))
        case TwoFields(path=path, type=type_, other=other, other_type=other_type):
            return frozenset({(path, type_), (other, other_type)})
        case Inside():
            return frozenset({FOLLOWED})
        case Truth() | Present() | Missing() | Opaque() | Sourced() | Deferred():
            return frozenset()
    return frozenset({(formula.path, formula.type)})


def size(formula: Formula) -> int:
    """The number of atoms, each counted as often as it is written."""
    return sum(map(size, formula.items)) if isinstance(formula, All | Some) else 1


def is_scalar(type_: Type) -> bool:
    """Whether Python's `==` on values of the type is the language's: no value contains a number that equals another
    type's."""
    return type_.__class__ is EntityT or (type_.__class__ is Prim and type_.name in _PLAIN)


def comparable(formula: Formula) -> bool:
    """Whether equal formulas mean the same: constants of type Json could be `1` and `true`, which Python takes for
    equal."""
    match formula:
        case All(items=items) | Some(items=items):
            return all(comparable(item) for item in items)
        case Relation(type=type_) | OneOf(type=type_):
            return is_scalar(type_)
        case Elements(type=type_):
            return is_scalar(element_of(type_) or type_)
    return True


def _unique(values: Iterable[Any]) -> tuple[Any, ...]:
    every = tuple(values)
    kinds = set(map(type, every))
    if kinds == {str}:
        return tuple(dict.fromkeys(every))
    if kinds == {Entity}:
        return tuple({value.uid: value for value in every}.values())
    return tuple({identity(value): value for value in every}.values())


def identities(values: Iterable[Any]) -> list[Any]:
    return [identity(value) for value in values]


def identity(value: Any) -> Any:
    """A hashable stand-in for a constant; two that differ only in type, such as `1` and `true`, stay different."""
    if value.__class__ is Entity:
        return (Entity, value.uid)
    if value.__class__ in (list, tuple):
        return (list, tuple(identities(value)))
    if value.__class__ is dict:
        return (dict, frozenset((k, identity(v)) for k, v in value.items()))
    return (bool, value) if value.__class__ is bool else value
