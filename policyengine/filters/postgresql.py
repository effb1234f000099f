"""The SQL of PostgreSQL: columns of its own types, text[] and bigint[], and jsonb.

Texts compare in collation "C", by code points, whatever the collation of a column; the plain comparison is added,
because only that one can use an index of the column. The planner evaluates cheap conditions first, taking every
operator for equally cheap, and otherwise in the order of the text. CASE keeps a conversion from values that it would
fail on, because AND may evaluate either side first. Facts are from the manual of PostgreSQL 16, tested on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from json import dumps
from math import frexp, inf, nextafter
from typing import Any, Literal

from policyengine.filters.backend import Fragment
from policyengine.filters.sql_text import Param, Sql, both, negated, sql
from policyengine.filters.sql_values import ArrayRelation
from policyengine.model.types import BOOL, INT, STRING, TIME, EntityT, Type, element_of
from policyengine.model.values import INT_MAX, INT_MIN, NUMBER_MAX
from policyengine.partial.formula import Operator

_YEARS = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
_TEXTS, _INTEGERS = "text[]", "bigint[]"


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """The dialect."""

    name: str = "PostgreSQL"

    def identifier(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"'

    def placeholder(self, style: str, at: int) -> str:
        return {"format": "%s", "pyformat": f"%(p{at})s", "qmark": "?", "named": f":p{at}"}.get(style, f"${at + 1}")

    def is_of(self, column: Sql, type_: Type) -> Sequence[Sql]:
        """Uses an operator that exists only for values of the type, if there is one: a column of another type is an
        error."""
        element = element_of(type_)
        if element is not None:
            first = sql("(", column, ")[1]")
            asked = sql("(", first, " | 0)") if element == INT else sql("(", first, ' COLLATE "C")')
            return (_typed(sql(asked, " IS NOT DISTINCT FROM ", first)),)
        if type_ == INT:
            return (_typed(sql("(", column, " | 0) IS NOT NULL")),)
        if type_ == BOOL:
            return (_typed(sql(column, " IS NOT UNKNOWN")),)
        if type_ == TIME:
            return (sql("CAST(pg_typeof(", column, ") AS text) NOT IN ('timestamp without time zone', 'date')"),)
        if type_ == STRING or isinstance(type_, EntityT):
            return (_typed(sql("(", column, " COLLATE \"C\") >= ''")),)
        return ()

    def scalar(self, column: Sql) -> _Scalar:
        return _Scalar(column)

    def json(self, column: Sql) -> _Jsonb:
        whole = sql("CAST(", column, " AS jsonb)")
        return _Jsonb(whole, whole)

    def array(self, column: Sql, element: Type) -> _Array | None:
        return _Array(column, element == INT) if element in (STRING, INT) else None

    def one_of(self, expr: Sql, values: Sequence[str] | Sequence[int]) -> Sql:
        if len(values) == 1:
            return sql(expr, " = ", self.constant(values[0]))
        return sql(expr, " = ANY(", _list(values, isinstance(values[0], int)), ")")

    def constant(self, value: str | int) -> Sql:
        return sql("CAST(", Param(value), " AS text)" if isinstance(value, str) else " AS bigint)")

    def says(self, column: Sql, part: str) -> Sql:
        return sql("position(", self.constant(part), " IN CAST(", column, " AS text)) > 0")

    def length(self, text: Sql) -> Sql:
        return sql("char_length(", text, ")")

    def like(self, text: Sql, pieces: Sequence[str]) -> Sql | None:
        pattern = "%".join(p.replace("!", "!!").replace("%", "!%").replace("_", "!_") for p in pieces)
        return sql(text, " LIKE ", self.constant(pattern), " ESCAPE '!'")

    def time(self, column: Sql, op: Operator | None, time: datetime) -> Sql | None:
        first, last = (sql("CAST(", Param(bound), " AS timestamptz)") for bound in _YEARS)
        there = sql(column, " BETWEEN ", first, " AND ", last)
        if op is None:
            return there
        return both(sql(column, f" {_sign(op)} CAST(", Param(time), " AS timestamptz)"), there)


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A column of type text or varchar, bigint or a smaller integer, double precision, or boolean."""

    column: Sql

    def text(self) -> Sql:
        # COLLATE is only for texts. The cast turns similar types with operators of their own, such as citext, into
        # text.
        return sql("CAST((", self.column, ' COLLATE "C") AS text)')

    def integer(self) -> Sql:
        return self.column

    def truth(self) -> Sql:
        return self.column

    def is_number(self) -> Sql:
        return both(*self._bounds())

    def _bounds(self) -> tuple[Sql, Sql]:
        """Tests that the value is above, and below, everything that is not a number."""
        # NaN counts as more than infinity.
        low, high = (sql("CAST(", Param(bound), " AS double precision)") for bound in (-inf, inf))
        return sql(self.column, " > ", low), sql(self.column, " < ", high)

    def compared(self, op: Operator, number: int | float) -> Fragment:
        whole = float(number).is_integer()
        constant = sql(
            "CAST(", Param(int(number) if whole else number), f" AS {'bigint' if whole else 'double precision'})"
        )
        return Fragment(both(sql(self.column, f" {_sign(op)} ", constant), *_open_end(op, *self._bounds())))

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        return both(DIALECT.one_of(self.column, texts), _expected(DIALECT.one_of(self.text(), texts)))


@dataclass(frozen=True, slots=True)
class _Jsonb:
    """A value inside a jsonb column; NULL if there is none. If a key occurs twice, jsonb keeps the last value. It keeps
    the text of a number: `5.0` is not an integer.

    Each use of a value looks it up anew. So one operator or one jsonpath is used where that is enough: that an object
    `@>` an object with one key means that its value is the same, and a GIN index finds it.

    root, path: the jsonb that contains it, a column or an element of an array, and the keys that lead to it.
    plain: the value as text, whatever it is.
    """

    value: Sql
    root: Sql
    path: tuple[str, ...] = ()
    plain: Sql | None = None

    def text(self) -> Sql:
        return sql("(CASE WHEN ", self._is("string"), " THEN ", self._as_text(), ' END COLLATE "C")')

    def integer(self) -> Sql:
        fits = self._matches(f"$ >= {INT_MIN} && $ <= {INT_MAX}")
        whole = sql("scale(CAST(", self.value, " AS numeric)) = 0")
        return sql(
            "(CASE WHEN ", fits, " THEN CASE WHEN ", whole, " THEN CAST(", self.value, " AS bigint) END END)"
        )  # fmt: skip

    def truth(self) -> Sql:
        return sql("(CASE WHEN ", self._is("boolean"), " THEN CAST(", self.value, " AS boolean) END)")

    def is_number(self) -> Sql:
        return both(*self._bounds())

    def _bounds(self) -> tuple[Sql, Sql]:
        low, high = (sql("CAST(", Param(Decimal(bound)), " AS numeric)") for bound in (-NUMBER_MAX, NUMBER_MAX))
        return sql(self._number(), " >= ", low), sql(self._number(), " <= ", high)

    def compared(self, op: Operator, number: int | float) -> Fragment:
        """A JSON number is read as the nearest double, so all numbers around the constant equal it."""
        low, high, even = _around(float(number))
        signs = {
            "==": (">=", "<=") if even else (">", "<"),
            "<": ("", "<" if even else "<="), "<=": ("", "<=" if even else "<"),
            ">": (">" if even else ">=", ""), ">=": (">=" if even else ">", ""),
        }[op]  # fmt: skip
        lowest = high if op == ">" else low
        highest = low if op == "<" else high
        cases = [
            sql(self._number(), f" {sign} CAST(", Param(bound), " AS numeric)")
            for sign, bound in zip(signs, (lowest, highest), strict=True)
            if sign
        ]
        return Fragment(both(*cases, *_open_end(op, *self._bounds())))

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        exact = self._is_in_root(texts[0]) if len(texts) == 1 else DIALECT.one_of(self.text(), texts)
        # An index on an expression holds the text of any value.
        return exact if self.plain is None else both(DIALECT.one_of(self.plain, texts), exact)

    def there(self) -> Sql:
        return sql(self.value, " IS NOT NULL")

    def is_kind(self, kind: Literal["object", "array", "null"]) -> Sql:
        return self._is(kind)

    def get(self, name: str) -> _Jsonb:
        # If a text is on its right, -> is for objects only.
        as_json, plain = (sql("(", self.value, f" {arrow} ", DIALECT.constant(name), ")") for arrow in ("->", "->>"))
        return _Jsonb(as_json, self.root, (*self.path, name), plain)

    def item(self, at: int) -> _Jsonb:
        element = sql("(", self._array(), f" -> {at})")
        return _Jsonb(element, element)

    def length(self) -> Sql:
        return sql("jsonb_array_length(", self._array(), ")")

    def each(self) -> tuple[Sql, _Jsonb]:
        return sql("jsonb_array_elements(", self._array(), ") AS _e(v)"), _Jsonb(sql("_e.v"), sql("_e.v"))

    def is_texts(self) -> Sql:
        return negated(self._matches('$[*].type() != "string"'))

    def includes(self, text: str) -> Sql | None:
        # Without a path the test is `=`, and an array does not equal the array of one of its elements.
        return self._is_in_root([text]) if self.path else None

    def _is_in_root(self, constant: Any) -> Sql:
        """The value is the text, or an array that contains the element of the list."""
        for name in reversed(self.path):
            constant = {name: constant}
        sign = "@>" if self.path else "="
        return sql(self.root, f" {sign} CAST(", Param(dumps(constant, ensure_ascii=False)), " AS jsonb)")

    def _matches(self, predicate: str) -> Sql:
        """The result of jsonpath for the value; NULL if it is missing or the predicate is not for its type. The text
        has no question mark, which is a placeholder to some drivers."""
        return sql("jsonb_path_match(", self.value, f", 'strict {predicate}', '{{}}', true)")

    def _array(self) -> Sql:
        return sql("CASE WHEN ", self._is("array"), " THEN ", self.value, " END")

    def _is(self, kind: str) -> Sql:
        return sql("jsonb_typeof(", self.value, f") = '{kind}'")

    def _as_text(self) -> Sql:
        return self.plain if self.plain is not None else sql("(", self.value, " #>> '{}')")

    def _number(self) -> Sql:
        return sql("(CASE WHEN ", self._is("number"), " THEN CAST(", self.value, " AS numeric) END)")


@dataclass(frozen=True, slots=True)
class _Array:
    """A column of type text[], varchar[], bigint[] or an array of smaller integers."""

    column: Sql
    integers: bool

    def well_formed(self) -> Sql:
        # An empty array has no dimensions; an array of arrays cannot be searched.
        full = sql("array_position(", self.column, ", NULL) IS NULL")
        empty = sql("cardinality(", self.column, ") = 0")
        return sql("CASE array_ndims(", self.column, ") WHEN 1 THEN ", full, " ELSE ", empty, " END")

    def elements(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        exact = self._compares(how, self._as_text(), values)
        if self.integers or how == "same_list":
            return both(exact, _expected(self.well_formed()))
        # Once with the column's collation, which an index has, and once by code points.
        return both(self._compares(how, self._cast(), values), _expected(both(exact, self.well_formed())))

    def lacks(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        # As a single condition, which no index serves, it costs the planner more than others and is evaluated after
        # them.
        exact = self._compares(how, self._as_text(), values)
        return sql("CASE WHEN ", exact, " THEN FALSE ELSE ", self.well_formed(), " END")

    def length(self) -> Sql:
        return sql("cardinality(", self.column, ")")

    def different(self) -> Sql:
        return sql("(SELECT count(DISTINCT _e.v) FROM unnest(", self._as_text(), ") AS _e(v))")

    def _compares(self, how: ArrayRelation, array: Sql, values: Sequence[str | int]) -> Sql:
        given = _list(values, self.integers)
        match how:
            case "overlaps":
                return sql(array, " && ", given)
            case "includes":
                return sql(array, " @> ", given)
            case "is_within":
                return sql(array, " <@ ", given)
            case "same_set":
                return both(sql(array, " @> ", given), sql(array, " <@ ", given))
            case "same_list":
                # Arrays also differ in the index of their first element; in a new array this is 1.
                return sql("ARRAY(SELECT unnest(", array, ")) = ", given)

    def _as_text(self) -> Sql:
        return self._cast() if self.integers else sql("(", self._cast(), ' COLLATE "C")')

    def _cast(self) -> Sql:
        return sql("CAST(", self.column, f" AS {_INTEGERS if self.integers else _TEXTS})")


def _list(values: Sequence[str] | Sequence[int] | Sequence[str | int], integers: bool) -> Sql:
    return sql("CAST(", Param(list(values)), f" AS {_INTEGERS if integers else _TEXTS})")


def _open_end(op: Operator, low: Sql, high: Sql) -> list[Sql]:
    """Those bounds of all numbers that a comparison with one of the two does not imply."""
    return [low] if op in ("<", "<=") else [high] if op in (">", ">=") else []


def _expected(condition: Sql) -> Sql:
    """A condition that makes another, nearly equal one exact. The planner would take the two for independent and expect
    far too few rows, so this is written in a form that it expects to be true of nearly all rows."""
    return sql("CASE WHEN ", condition, " THEN TRUE END IS NOT NULL")


def _typed(condition: Sql) -> Sql:
    """A condition that checks types: if they are wrong the database rejects the query, and if they are right the
    planner drops the condition, so that it costs nothing per row."""
    return sql("(TRUE OR ", condition, ")")


def _sign(op: Operator) -> str:
    return {"==": "=", "!=": "<>"}.get(op, op)


def _around(number: float) -> tuple[Decimal, Decimal, bool]:
    """The limits of the numbers that are read as this double, and whether the limits are too (ties go to the even
    one)."""
    with localcontext() as context:
        context.prec = 1200
        low, high = ((Decimal(number) + Decimal(nextafter(number, end))) / 2 for end in (-inf, inf))
    mantissa = int(abs(frexp(number)[0]) * 2**53)
    return low, high, mantissa % 2 == 0


DIALECT = PostgreSQL()
