"""LanceDB: a filter as the SQL text of DataFusion that `where` takes (https://docs.lancedb.com/search/filtering).

LanceDB binds no values, so constants become literals here. A text goes between single quotes with each quote in it
doubled; no other character is special in a literal of this dialect. A constant that has no literal is declined before.
A condition on NULL is not true, NaN is the greatest number, and texts compare by their bytes.

A bare literal becomes one of the column's own type: an integer that does not fit a small column is an error, and a time
loses the fraction of a second that the column cannot hold, and is read in the column's time zone. So integers are
marked as 64 bits, and times are compared as numbers that the planner cannot turn back into times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Field, Fields
from policyengine.filters.sql_atoms import Atoms
from policyengine.filters.sql_text import Param, Sql, SqlColumn, both, either, negated, sql
from policyengine.filters.sql_values import ArrayRelation, storable
from policyengine.model.types import BOOL, INT, NUMBER, STRING, TIME, Type, element_of
from policyengine.model.values import INT_MAX, INT_MIN
from policyengine.partial.formula import Atom, Operator, Path

_YEARS = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GREATEST = 1.7976931348623157e308
# The integers that every integer type holds, and those that single precision tells apart.
_SMALL, _SINGLE = range(128), 2**24
_INTEGERS = ("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64")
_FLOATS = ("Float16", "Float32", "Float64")


def lancedb(columns: Mapping[str, str | Field]) -> LanceDB:
    """LanceDB. The query's `native` is the text for `where`, most often with `prefilter=True`.

    columns: for each attribute of the resource that the table has, including `id`: the name of its column, `column` or
        `ref`. `record.field` is a field of a struct. Columns of JSON are not queried.

    Raises ValueError for a name that cannot be one.

    >>> from policyengine import Engine
    >>> engine = Engine.from_text('''
    ... module notes
    ... use ai
    ... permit own: retrieve on Document when document.tenant == principal.tenant
    ... ''')
    >>> ann = {"type": "User", "id": "ann", "tenant": "o'hara", "roles": []}
    >>> found = engine.filter(principal=ann, action="retrieve", resource_type="Document")
    >>> found.to(lancedb({"id": "id", "tenant": "tenant"}), exact=True).native
    "(`tenant` = 'o''hara' AND arrow_typeof(`tenant`) LIKE '%Utf8%' AND arrow_typeof(`tenant`) NOT LIKE '%List%')"
    """
    for place in columns.values():
        _name(place.name if isinstance(place, Field) else place)
    fields = _Columns(columns)
    return LanceDB(Atoms(DIALECT, fields), fields)


class _Columns(Fields):
    """Treats columns of JSON as missing."""

    def find(self, path: Path) -> Field | None:
        place = super().find(path)
        return None if place is None or place.json else place


@dataclass(frozen=True, slots=True)
class LanceDB:
    """See `lancedb`."""

    atoms: Atoms
    fields: Fields
    name: str = "LanceDB"

    def atom(self, atom: Atom) -> Fragment | None:
        return self.atoms.atom(atom)

    def naming(self, path: Path, name: str) -> Fragment | None:
        return None

    @property
    def limits(self) -> StoreLimits:
        """Its parser takes some 20 nested parentheses."""
        return StoreLimits(6, 2_000)

    def all(self, items: Sequence[Sql]) -> Sql:
        return both(*items)

    def some(self, items: Sequence[Sql]) -> Sql:
        return either(*items)

    def nothing(self) -> Sql:
        return sql("1 = 0")

    def everything(self) -> Sql:
        return sql("1 = 1")

    def finish(self, native: Sql) -> str:
        return "".join(_text(piece) for piece in native)


def _text(piece: str | Param | SqlColumn) -> str:
    if isinstance(piece, Param):
        return literal(piece.value)
    return _name(piece.name) if isinstance(piece, SqlColumn) else piece


def literal(value: Any) -> str:
    """A constant as a literal of LanceDB. Raises ValueError for anything but a text, a 64-bit integer, a finite number,
    or a list of texts or integers."""
    match value:
        case str() if storable(value):
            return "'" + value.replace("'", "''") + "'"
        case int() if value.__class__ is int and INT_MIN <= value <= -INT_MIN - 1:
            return str(value) if value in _SMALL else f"CAST({_integer(value)} AS BIGINT)"
        case float() if abs(value) <= _GREATEST:
            return repr(value) if value >= 0 else f"({value!r})"
        case list() if value:
            return f"make_array({', '.join(map(literal, value))})"
    raise ValueError("not a constant of LanceDB")


def _integer(value: int) -> str:
    return f"({INT_MIN + 1} - 1)" if value == INT_MIN else str(value) if value >= 0 else f"({value})"


def _name(name: str) -> str:
    """A column, or a field of a struct column, quoted."""
    parts = name.split(".")
    if not storable(name) or not all(parts) or "`" in name:
        raise ValueError("a name in LanceDB is not empty, and has no NUL and no backtick")
    return ".".join(f"`{part}`" for part in parts)


@dataclass(frozen=True, slots=True)
class _Dialect:
    name: str = "LanceDB"

    def is_of(self, column: Sql, type_: Type) -> Sequence[Sql]:
        """A constant next to a column is converted to the column's type, and could then equal a value of another
        type."""
        kind, element = sql("arrow_typeof(", column, ")"), element_of(type_)
        if element is not None:
            # A pattern with one word is a plain search; one with two becomes a regular expression, for every row.
            of = both(sql(kind, " LIKE '%List%'"), sql(kind, f" LIKE '%{'Int' if element == INT else 'Utf8'}%'"))
            fits = sql("coalesce(array_max(", column, f") <= {_integer(INT_MAX)}, TRUE)")
            return (either(both(of, fits) if element == INT else of, _Array(column).is_empty()),)
        if type_ == INT:
            fits = sql("TRY_CAST(", column, " AS BIGINT) IS NOT NULL")
            return (sql(kind, f" IN ({', '.join(map(repr, _INTEGERS))})"), fits)
        if type_ == NUMBER:
            return (sql(kind, f" IN ({', '.join(map(repr, (*_INTEGERS, *_FLOATS)))})"),)
        if type_ == TIME:
            # A type with a time zone, which is quoted.
            return (sql(kind, " LIKE 'Timestamp(%\"%'"),)
        if type_ == BOOL:
            return (sql(kind, " = 'Boolean'"),)
        return (sql(kind, " LIKE '%Utf8%'"), sql(kind, " NOT LIKE '%List%'"))

    def scalar(self, column: Sql) -> _Scalar:
        return _Scalar(column)

    def json(self, column: Sql) -> Any:
        raise NotImplementedError("columns of JSON are declined before")

    def array(self, column: Sql, element: Type) -> _Array | None:
        return _Array(column) if element in (STRING, INT) else None

    def one_of(self, expr: Sql, values: Sequence[str] | Sequence[int]) -> Sql:
        if len(values) == 1:
            return sql(expr, " = ", Param(values[0]))
        items: list[str | Param] = []
        for value in values:
            items += [", " if items else "", Param(value)]
        return sql(expr, " IN (", *items, ")")

    def constant(self, value: str | int) -> Sql:
        return sql(Param(value))

    def says(self, column: Sql, part: str) -> Sql:
        raise NotImplementedError("LanceDB has no JSON")

    def length(self, text: Sql) -> Sql:
        return sql("character_length(", text, ")")

    def like(self, text: Sql, pieces: Sequence[str]) -> Sql | None:
        escaped = [p.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for p in pieces]
        return sql(text, " LIKE ", Param("%".join(escaped)))

    def time(self, column: Sql, op: Operator | None, time: datetime) -> Sql | None:
        whole = sql("date_trunc('microsecond', ", column, ")")
        since = sql("arrow_cast(arrow_cast(", whole, f""", '{_MICROSECONDS}'), 'Int64') * 2""")
        there = both(*(sql(since, f" {sign} ", _doubled(at)) for sign, at in zip((">=", "<="), _YEARS, strict=True)))
        if op is None:
            return there
        is_whole, has_part = sql(whole, " = ", column), sql(whole, " <> ", column)
        asked = both(sql(since, f" {_sign(op)} ", _doubled(time)), is_whole)
        # A time with a part of a microsecond is after the microsecond that it is in, and before the next.
        match op:
            case "==":
                return both(asked, there)
            case "!=":
                beside = has_part
            case _:
                beside = both(sql(since, " < " if op in ("<", "<=") else " >= ", _doubled(time)), has_part)
        return both(sql("(", asked, " OR ", beside, ")"), there)


DIALECT = _Dialect()
_MICROSECONDS = 'Timestamp(Microsecond, Some("UTC"))'


def _doubled(time: datetime) -> Param:
    """Microseconds since 1970, times two."""
    return Param((time - _EPOCH) // timedelta(microseconds=1) * 2)


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A column of text, integers, floating point numbers or booleans."""

    column: Sql

    def text(self) -> Sql:
        return self.column

    def integer(self) -> Sql:
        return self.column

    def truth(self) -> Sql:
        return self.column

    def is_number(self) -> Sql:
        number = sql("CAST(", self.column, " AS DOUBLE)")
        return both(sql(number, " >= ", Param(-_GREATEST)), sql(number, " <= ", Param(_GREATEST)))

    def compared(self, op: Operator, number: int | float) -> Fragment:
        if float(number).is_integer() and abs(number) <= _SINGLE:
            compared = sql(self.column, f" {_sign(op)} ", Param(int(number)))
        else:
            # An integer column takes no fraction, and a single-precision column rounds a large integer.
            compared = sql("CAST(", self.column, f" AS DOUBLE) {_sign(op)} ", Param(float(number)))
        return Fragment(both(compared, self.is_number()))

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        return DIALECT.one_of(self.column, texts)


@dataclass(frozen=True, slots=True)
class _Array:
    """A column of lists of text or of integers."""

    column: Sql

    def well_formed(self) -> Sql:
        return both(sql(self.column, " IS NOT NULL"), sql("array_position(", self.column, ", NULL) IS NULL"))

    def elements(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        return both(self._compares(how, values), self.well_formed())

    def lacks(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        return both(self.well_formed(), negated(self._compares(how, values)))

    def length(self) -> Sql:
        return sql("coalesce(array_length(", self.column, "), 0)")

    def different(self) -> Sql:
        return sql("coalesce(array_length(array_distinct(", self.column, ")), 0)")

    def _compares(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        """An empty list of constants would have no type."""
        given = Param(list(values))
        match how:
            case "overlaps":
                return sql("array_has_any(", self.column, ", ", given, ")") if values else sql("1 = 0")
            case "includes":
                return sql("array_has_all(", self.column, ", ", given, ")") if values else sql("1 = 1")
            case "is_within":
                return sql("array_has_all(", given, ", ", self.column, ")") if values else self.is_empty()
            case "same_set":
                return both(self._compares("includes", values), self._compares("is_within", values))
            case "same_list":
                return sql(self.column, " = ", given) if values else self.is_empty()

    def is_empty(self) -> Sql:
        return sql(self.length(), " = 0")


def _sign(op: Operator) -> str:
    return {"==": "=", "!=": "<>"}.get(op, op)
