"""The operations of a table library on a typed column, and the constants that a column can be compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Literal, Protocol

from policyengine.filters.fields import Field, Fields, Null
from policyengine.filters.numbers import Number, is_number, of_double, of_integer
from policyengine.filters.storable_texts import is_text
from policyengine.filters.walk import Connectives
from policyengine.model.fine_time import fine_time, nanoseconds
from policyengine.model.types import BOOL, DURATION, INT, NUMBER, STRING, TIME, EntityT, RecordT, Type, element_of
from policyengine.model.values import Entity
from policyengine.partial.formula import Operator, Path

ColumnKind = Literal["text", "int", "float", "bool", "time", "duration", "texts", "ints", "struct"]


@dataclass(frozen=True, slots=True)
class LibraryColumn:
    """A column, or a field of a struct.

    expr: its value in the terms of the library. A time is a number of units since 1970, a duration is a number of
    units.
    kind: what kind of value it holds.
    within: the structs it is a field of, outermost first.
    units: the units per second of a time or duration.
    null, refers_to: as in Field.
    packed: a list in a form that the library can search.
    whole: whether the mapping gives the place of the whole attribute, rather than of something inside it.
    """

    expr: Any
    kind: ColumnKind
    within: tuple[Any, ...] = ()
    units: int = 1
    null: Null | None = None
    refers_to: str | None = None
    packed: Any = None
    whole: bool = True


class Library(Connectives, Protocol):
    """The conditions that a library can put on a value."""

    def column(self, name: str, below: Path) -> LibraryColumn | None:
        """A column of the table, or the field below it; None if there is none, or the library cannot query it."""

    def negation(self, condition: Any) -> Any: ...

    def null(self, expr: Any) -> Any:
        """Tests that the value is null; never null itself."""

    def relation(self, expr: Any, op: Operator, value: Any) -> Any:
        """Compares with a constant of the column's own type, or with another expression."""

    def among(self, expr: Any, values: Sequence[Any]) -> Any: ...

    def finite(self, expr: Any) -> Any: ...

    def like(self, expr: Any, pieces: tuple[str, ...]) -> Any: ...

    def length(self, expr: Any) -> Any:
        """The number of code points of a text."""

    def count(self, expr: Any) -> Any:
        """The number of elements of a list."""

    def distinct(self, expr: Any) -> Any | None:
        """The number of different elements of a list; None if the library cannot count them."""

    def whole(self, column: LibraryColumn) -> Any:
        """Tests that a list is there and no element is null."""

    def any(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        """Tests that an element of a whole list is among one or more values."""

    def only(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        """Tests that all elements of a whole list are among one or more values."""

    def equals(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        """Tests that the elements of a whole list are these, one or more, in this order."""


OPERATORS: Mapping[Operator, Callable[[Any, Any], Any]] = {"==": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}


class Expressions:
    """Shared by libraries whose expressions are objects with Python's operators."""

    __slots__ = ()

    def negation(self, condition: Any) -> Any:
        return ~condition

    def null(self, expr: Any) -> Any:
        return expr.is_null()


def mapping(columns: Mapping[str, str | Field] | None, names: Iterable[str], null: Null | None) -> Fields:
    """The mapping that a caller gave; without one, every column is the attribute of its name. `null` applies to columns
    that are given by name only."""
    if columns is None:
        columns = {name: name for name in names if "." not in name and name != "*"}
    return Fields({k: Field(v, null=null) if isinstance(v, str) else v for k, v in columns.items()})


def _seconds(value: Any) -> Fraction:
    return Fraction(nanoseconds(value), 10**9)


# The range of RFC 3339: a request carries no time outside of it.
FIRST = _seconds(datetime(1, 1, 1, tzinfo=UTC))
LAST = _seconds(fine_time(datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), 999))


def readable(found: LibraryColumn, type_: Type) -> bool:
    """Whether values of the column can be values of the type, and the mapping gives their meaning."""
    element = element_of(type_)
    match found.kind:
        case "text":
            return isinstance(type_, EntityT) if found.refers_to is not None else type_ == STRING
        case "texts":
            if isinstance(element, EntityT):
                return found.refers_to in element.names
            return element == STRING and found.refers_to is None
        case "int":
            return type_ in (INT, NUMBER)
        case "ints":
            return element in (INT, NUMBER)
        case "struct":
            return isinstance(type_, RecordT)
    return type_ == {"float": NUMBER, "bool": BOOL, "time": TIME, "duration": DURATION}[found.kind]


def number_of(value: Any, found: LibraryColumn) -> Number | None:
    """A constant as a number that the column can be compared with; None if it is of another kind."""
    if found.kind == "time":
        return _seconds(value) if isinstance(value, datetime) and value.tzinfo else None
    if found.kind == "duration":
        return _seconds(value) if isinstance(value, timedelta) else None
    return value if found.kind in ("int", "float", "ints") and is_number(value) else None


def usable_of(found: LibraryColumn, type_: Type, values: Iterable[Any]) -> list[Any] | None:
    """Those of the constants that a value of the column can equal, in the column's form; None if one of them cannot be
    passed to the library."""
    usable = []
    for value in values:
        comparison: Any = None
        if isinstance(type_, EntityT):
            if value.__class__ is not Entity or not is_text(value.uid.id):
                return None
            comparison = ("==", value.uid.id) if value.uid.type == found.refers_to else False
        elif found.kind in ("text", "texts"):
            comparison = ("==", str.__str__(value)) if is_text(value) else None
        elif found.kind == "bool":
            comparison = ("==", value) if value.__class__ is bool else None
        else:
            number = number_of(value, found)
            if number is not None:
                exact = number * found.units
                comparison = of_double("==", exact) if found.kind == "float" else of_integer("==", exact)
        if comparison is None:
            return None
        if comparison is not False:
            usable.append(comparison[1])
    return usable


def pattern(pieces: Sequence[str]) -> str:
    """A regular expression for texts that match these pieces, for RE2 and for Rust's."""
    quoted = ("".join(c if c.isalnum() else f"\\x{{{ord(c):x}}}" for c in piece) for piece in pieces)
    return r"\A(?s:" + ".*".join(quoted) + r")\z"
