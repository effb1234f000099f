"""The types of the language.

Values of these types are described in `values.py`. A type is a frozen value; two equal types are the same type.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prim:
    """A type without parts: Bool, Int, Number, String, Time, Duration, Ip or Json."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class SetT:
    """A collection whose order and repetition have no meaning."""

    element: Type

    def __str__(self) -> str:
        return f"Set<{self.element}>"


@dataclass(frozen=True, slots=True)
class ListT:
    """A collection with an order."""

    element: Type

    def __str__(self) -> str:
        return f"List<{self.element}>"


@dataclass(frozen=True, slots=True)
class RecordField:
    """One attribute of a record or entity. An optional attribute may be absent."""

    type: Type
    optional: bool = False


@dataclass(frozen=True, slots=True)
class RecordT:
    """A record with named fields, in name order. If `open`, it may have others, of type Json."""

    fields: tuple[tuple[str, RecordField], ...]
    open: bool = False

    def get(self, name: str) -> RecordField | None:
        return dict(self.fields).get(name)

    def __str__(self) -> str:
        shown = [f"{name}{'?' if f.optional else ''}: {f.type}" for name, f in self.fields]
        inner = ", ".join([*shown, "..."] if self.open else shown)
        return f"{{ {inner} }}" if inner else "{}"


@dataclass(frozen=True, slots=True)
class EntityT:
    """An entity whose type is one of `names`."""

    names: frozenset[str]

    def __str__(self) -> str:
        return " or ".join(sorted(self.names)) or "no entity"


@dataclass(frozen=True, slots=True)
class RefinedT:
    """Some of the values of `base`: those that are in `values` or of one of `members`, and within all `limits`. `text`
    is the type as it was written, which distinguishes the values `1` and `true`."""

    base: Type
    text: str
    values: tuple[Any, ...] | None = None
    members: tuple[Type, ...] = ()
    limits: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        return self.text


type_names = ("Bool", "Int", "Number", "String", "Time", "Duration", "Ip", "Json")
BOOL, INT, NUMBER, STRING, TIME, DURATION, IP, JSON = (Prim(name) for name in type_names)
PRIMITIVES: dict[str, Prim] = {name: Prim(name) for name in type_names}

# The type of `null`, which only a union has.
NULL = Prim("null")

Type = Prim | SetT | ListT | RecordT | EntityT | RefinedT


def record(fields: dict[str, RecordField], open: bool = False) -> RecordT:
    return RecordT(tuple(sorted(fields.items())), open)


def unrefined(type_: Type) -> Type:
    """The type as rules read it: without refinements, except those of a record's fields, which are read one by one."""
    match type_:
        case RefinedT(base=base):
            return unrefined(base)
        case SetT(element):
            return SetT(unrefined(element))
        case ListT(element):
            return ListT(unrefined(element))
    return type_


def entity(*names: str) -> EntityT:
    return EntityT(frozenset(names))


def element_of(type_: Type) -> Type | None:
    """The element type of a collection, else None."""
    return type_.element if isinstance(type_, SetT | ListT) else None


def is_numeric(type_: Type) -> bool:
    return type_ in (INT, NUMBER)


def join(left: Type, right: Type) -> Type | None:
    """The smallest type that holds the values of both, or None when there is none."""
    if left == right:
        return left
    if isinstance(left, RefinedT) or isinstance(right, RefinedT):
        return join(unrefined(left), unrefined(right))
    if is_numeric(left) and is_numeric(right):
        return NUMBER
    match left, right:
        case EntityT(a), EntityT(b):
            return EntityT(a | b)
        case (SetT(a), SetT(b)) | (ListT(a), ListT(b)):
            inner = join(a, b)
            if inner is None:
                return None
            return SetT(inner) if isinstance(left, SetT) else ListT(inner)
        case RecordT(), RecordT():
            return _join_records(left, right)
    return None


def _join_records(left: RecordT, right: RecordT) -> RecordT:
    """Fields of either side; a field that one side lacks is optional; types that do not join are Json."""
    a, b = dict(left.fields), dict(right.fields)
    fields = {}
    for name in a.keys() | b.keys():
        if name in a and name in b:
            fields[name] = RecordField(join(a[name].type, b[name].type) or JSON, a[name].optional or b[name].optional)
        else:
            fields[name] = RecordField((a.get(name) or b[name]).type, True)
    return record(fields, left.open or right.open)


def comparable(left: Type, right: Type) -> bool:
    """Whether a value of one type can ever equal a value of the other."""
    left, right = unrefined(left), unrefined(right)
    if left == JSON or right == JSON:
        return True
    match left, right:
        case EntityT(a), EntityT(b):
            return bool(a & b)
        case (SetT(a), SetT(b)) | (ListT(a), ListT(b)):
            return comparable(a, b)
        case RecordT(), RecordT():
            own, other = dict(left.fields), dict(right.fields)
            return all(comparable(own[name].type, other[name].type) for name in own.keys() & other.keys())
    return join(left, right) is not None
