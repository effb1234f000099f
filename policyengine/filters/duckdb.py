"""The SQL of DuckDB: columns of its own types, VARCHAR[] and BIGINT[], and JSON.

A column has a type, and one that is mapped to an attribute of another type holds no value of that attribute: DuckDB
would convert where a decision does not. Texts compare in collation "binary", by bytes, whatever the collation of a
column. If a key occurs twice, DuckDB reads the first value and JSON readers the last, so keys are looked up from the
end. Facts are from duckdb.org, tested on 1.4 and 2.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from policyengine.filters.backend import Fragment
from policyengine.filters.sql_text import Param, Sql, both, either, negated, sql
from policyengine.filters.sql_values import ArrayRelation
from policyengine.model.types import INT, STRING, Type
from policyengine.partial.formula import Operator

_YEARS = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


_INTEGERS = (
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
)  # fmt: skip
_NUMBERS = (*_INTEGERS, "FLOAT", "DOUBLE")


@dataclass(frozen=True, slots=True)
class DuckDB:
    """The dialect."""

    name: str = "DuckDB"

    def identifier(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def placeholder(self, style: str, at: int) -> str:
        return {"format": "%s", "pyformat": f"%(p{at})s", "qmark": "?", "named": f"$p{at}"}.get(style, f"${at + 1}")

    def is_of(self, column: Sql, type_: Type) -> tuple[()]:
        return ()

    def scalar(self, column: Sql) -> _Scalar:
        return _Scalar(column)

    def json(self, column: Sql) -> _Json:
        return _Json(sql("TRY_CAST(", column, " AS JSON)"))

    def array(self, column: Sql, element: Type) -> _Array | None:
        return _Array(column, element == INT) if element in (STRING, INT) else None

    def one_of(self, expr: Sql, values: Sequence[str] | Sequence[int]) -> Sql:
        if len(values) == 1:
            return sql(expr, " = ", self.constant(values[0]))
        return sql(expr, " IN (SELECT unnest(", _list(values, isinstance(values[0], int)), "))")

    def constant(self, value: str | int) -> Sql:
        return sql("CAST(", Param(value), " AS VARCHAR)" if isinstance(value, str) else " AS BIGINT)")

    def says(self, column: Sql, part: str) -> Sql:
        return sql("contains(CAST(", column, " AS VARCHAR), ", self.constant(part), ")")

    def length(self, text: Sql) -> Sql:
        return sql("length(", text, ")")

    def like(self, text: Sql, pieces: Sequence[str]) -> Sql | None:
        pattern = "%".join(p.replace("!", "!!").replace("%", "!%").replace("_", "!_") for p in pieces)
        return sql(text, " LIKE ", self.constant(pattern), " ESCAPE '!'")

    def time(self, column: Sql, op: Operator | None, time: datetime) -> Sql | None:
        first, last = (sql("CAST(", Param(bound), " AS TIMESTAMPTZ)") for bound in _YEARS)
        there = both(_is_of(column, ("TIMESTAMP WITH TIME ZONE",)), sql(column, " BETWEEN ", first, " AND ", last))
        if op is None:
            return there
        return both(sql(column, f" {_sign(op)} CAST(", Param(time), " AS TIMESTAMPTZ)"), there)


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A column of type VARCHAR, BIGINT or a smaller integer, DOUBLE, or BOOLEAN."""

    column: Sql

    def text(self) -> Sql:
        return sql("(", self.column, ' COLLATE "binary")')

    def integer(self) -> Sql:
        return sql("(CASE WHEN ", self._is(*_INTEGERS), " THEN TRY_CAST(", self.column, " AS BIGINT) END)")

    def truth(self) -> Sql:
        return sql("(CASE WHEN ", self._is("BOOLEAN"), " THEN TRY_CAST(", self.column, " AS BOOLEAN) END)")

    def is_number(self) -> Sql:
        return both(self._is(*_NUMBERS), sql("isfinite(TRY_CAST(", self.column, " AS DOUBLE))"))

    def _is(self, *types: str) -> Sql:
        return _is_of(self.column, types)

    def compared(self, op: Operator, number: int | float) -> Fragment:
        # A single-precision column would round a larger integer to a different one.
        whole = float(number).is_integer() and abs(number) <= 2**24
        constant = sql("CAST(", Param(int(number) if whole else number), f" AS {'BIGINT' if whole else 'DOUBLE'})")
        return Fragment(both(sql(self.column, f" {_sign(op)} ", constant), self.is_number()))

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        return DIALECT.one_of(self.text(), texts)


@dataclass(frozen=True, slots=True)
class _Json:
    """A value inside a column of JSON; NULL if there is none."""

    value: Sql

    def text(self) -> Sql:
        return sql("(CASE WHEN ", self._is("VARCHAR"), " THEN ", self._as_text(), ' END COLLATE "binary")')

    def integer(self) -> Sql:
        number = sql("TRY_CAST(", self._as_text(), " AS BIGINT)")
        return sql("(CASE WHEN ", self._is("UBIGINT", "BIGINT"), " THEN ", number, " END)")

    def truth(self) -> Sql:
        return sql("(CASE WHEN ", self._is("BOOLEAN"), " THEN TRY_CAST(", self._as_text(), " AS BOOLEAN) END)")

    def is_number(self) -> Sql:
        return sql("coalesce(isfinite(", self._number(), "), FALSE)")

    def compared(self, op: Operator, number: int | float) -> Fragment:
        comparison = sql(self._number(), f" {_sign(op)} CAST(", Param(float(number)), " AS DOUBLE)")
        return Fragment(both(comparison, self.is_number()))

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        return DIALECT.one_of(self.text(), texts)

    def there(self) -> Sql:
        return sql(self.value, " IS NOT NULL")

    def is_kind(self, kind: Literal["object", "array", "null"]) -> Sql:
        return self._is(kind.upper())

    def get(self, name: str) -> _Json:
        values = sql("list_reverse(json_extract(", self.value, ", '$.*'))")
        at = sql("list_position(list_reverse(json_keys(", self.value, ")), ", DIALECT.constant(name), ")")
        return _Json(sql("(CASE WHEN ", self._is("OBJECT"), " THEN ", values, "[", at, "] END)"))

    def item(self, at: int) -> _Json:
        return _Json(sql(self._elements(), f"[{at + 1}]"))

    def length(self) -> Sql:
        return sql("(CASE WHEN ", self._is("ARRAY"), " THEN json_array_length(", self.value, ") END)")

    def each(self) -> tuple[Sql, _Json]:
        return sql("(SELECT unnest(", self._elements(), ") AS v) AS _e"), _Json(sql("_e.v"))

    def is_texts(self) -> None:
        return None

    def includes(self, text: str) -> None:
        return None

    def _elements(self) -> Sql:
        return sql("(CASE WHEN ", self._is("ARRAY"), " THEN json_extract(", self.value, ", '$[*]') END)")

    def _is(self, *kinds: str) -> Sql:
        return sql("json_type(", self.value, f") IN ({', '.join(repr(kind) for kind in kinds)})")

    def _as_text(self) -> Sql:
        return sql("(", self.value, " ->> '$')")

    def _number(self) -> Sql:
        number = sql("TRY_CAST(", self._as_text(), " AS DOUBLE)")
        return sql("(CASE WHEN ", self._is("UBIGINT", "BIGINT", "HUGEINT", "DOUBLE"), " THEN ", number, " END)")


@dataclass(frozen=True, slots=True)
class _Array:
    """A column of type VARCHAR[] or a list of integers."""

    column: Sql
    integers: bool

    def well_formed(self) -> Sql:
        # list_count counts only what is not NULL.
        full = sql("list_count(", self.column, ") = len(", self.column, ")")
        element = f"({'|'.join(_INTEGERS if self.integers else ('VARCHAR', 'JSON', 'ENUM.*'))})"
        kind = sql("regexp_full_match(typeof(", self.column, f"), '{element}\\[[0-9]*\\]')")
        empty = sql("len(", self.column, ") = 0")
        return both(sql(self._cast(), " IS NOT NULL"), full, either(kind, empty))

    def elements(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        return both(self._compares(how, values), self.well_formed())

    def lacks(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        return both(self.well_formed(), negated(self._compares(how, values)))

    def length(self) -> Sql:
        return sql("len(", self.column, ")")

    def different(self) -> Sql:
        return sql("list_unique(", self._cast(), ")")

    def _compares(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        array, given = self._cast(), _list(values, self.integers)
        match how:
            case "overlaps":
                return sql("list_has_any(", array, ", ", given, ")")
            case "includes":
                return sql("list_has_all(", array, ", ", given, ")")
            case "is_within":
                return sql("list_has_all(", given, ", ", array, ")")
            case "same_set":
                return both(self._compares("includes", values), self._compares("is_within", values))
            case "same_list":
                return sql(array, " = ", given)

    def _cast(self) -> Sql:
        return sql("TRY_CAST(", self.column, f" AS {_type(self.integers)})")


def _is_of(column: Sql, types: Sequence[str]) -> Sql:
    return sql("typeof(", column, f") IN ({', '.join(repr(each) for each in types)})")


def _list(values: Sequence[str] | Sequence[int] | Sequence[str | int], integers: bool) -> Sql:
    return sql("CAST(", Param(list(values)), f" AS {_type(integers)})")


def _type(integers: bool) -> str:
    return "BIGINT[]" if integers else "VARCHAR[]"


def _sign(op: Operator) -> str:
    return {"==": "=", "!=": "<>"}.get(op, op)


DIALECT = DuckDB()
