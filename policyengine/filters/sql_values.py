"""The expressions and conditions that each database must provide for a value, a collection and a constant.

An expression for a value is NULL if the value is not of the type (for a column, if `is_of` is not true). So a
comparison with it is true only of values of the type, as atoms are. Conditions are true, false or NULL. A condition is
negated only if it is NULL for no value of the type, or together with a test that it is not NULL.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import ceil, floor
from typing import Literal, Protocol

from policyengine.filters.backend import Fragment
from policyengine.filters.sql_text import Sql, negated, sql
from policyengine.model.types import Type
from policyengine.model.values import INT_MAX, INT_MIN
from policyengine.partial.formula import Operator

# How an array compares with values: it has one of them, it has all, it has no others, it is the same set, the same
# list.
ArrayRelation = Literal["overlaps", "includes", "is_within", "same_set", "same_list"]

# Between these, every integer is a double, and numbers on both sides are exact in any type of column.
SAFE = 2**52


class SqlValue(Protocol):
    """A scalar in a column, or any value inside a JSON document."""

    def text(self) -> Sql:
        """The text, compared by code points."""

    def integer(self) -> Sql:
        """The integer, within 64 bits."""

    def truth(self) -> Sql:
        """The boolean."""

    def compared(self, op: Operator, number: int | float) -> Fragment:
        """Tests that the value is a finite number, and compares it (not with "!=") with one between -SAFE and SAFE."""

    def is_number(self) -> Sql:
        """Tests that the value is a finite number."""

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        """Tests that the value is one of the texts."""


class Json(SqlValue, Protocol):
    """A value inside a JSON document, or one that is not there."""

    def there(self) -> Sql: ...

    def is_kind(self, kind: Literal["object", "array", "null"]) -> Sql: ...

    def get(self, name: str) -> Json:
        """The value of a key, if this is an object that has it; the last one, if it occurs more than once."""

    def item(self, at: int) -> Json:
        """An element, counted from 0, if this is an array that has it."""

    def length(self) -> Sql:
        """The number of elements, if this is an array."""

    def is_texts(self) -> Sql | None:
        """Tests that this is an array of texts only; None if there is no short way to express it."""

    def includes(self, text: str) -> Sql | None:
        """Tests that the text is in this array, if it `is_texts`; None if there is no short way to express it."""

    def each(self) -> tuple[Sql, Json]:
        """The text after FROM that gives the elements, and the element; a value that is not an array has none."""


class Array(Protocol):
    """A column of the database's own array type that holds texts or integers. Its length is not NULL if `well_formed`
    is true."""

    def well_formed(self) -> Sql:
        """Tests that the array is there, and that every element is of its type."""

    def elements(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        """Tests that the array is well formed and compares so with the values."""

    def lacks(self, how: ArrayRelation, values: Sequence[str | int]) -> Sql:
        """Tests that the array is well formed and does not compare so with the values."""

    def length(self) -> Sql: ...

    def different(self) -> Sql:
        """The number of different elements."""


class Dialect(Protocol):
    """The SQL of one database. `length` counts code points."""

    @property
    def name(self) -> str: ...

    def is_of(self, column: Sql, type_: Type) -> Sequence[Sql]:
        """The tests to add to a condition on a column, if that condition may be true of a column of another type: that
        this one holds values of the type. They may fail with an error. Empty if the condition itself ensures the
        type."""

    def scalar(self, column: Sql) -> SqlValue: ...

    def json(self, column: Sql) -> Json: ...

    def array(self, column: Sql, element: Type) -> Array | None: ...

    def one_of(self, expr: Sql, values: Sequence[str] | Sequence[int]) -> Sql: ...

    def constant(self, value: str | int) -> Sql: ...

    def says(self, column: Sql, part: str) -> Sql:
        """Tests that the text of a column of JSON contains this part."""

    def length(self, text: Sql) -> Sql: ...

    def like(self, text: Sql, pieces: Sequence[str]) -> Sql | None: ...

    def time(self, column: Sql, op: Operator | None, time: datetime) -> Sql | None:
        """Tests that a column of the database's own time type holds one of the years 1 to 9999, and with `op` compares
        it."""


def storable(value: object) -> bool:
    """Whether a text can be sent to a database."""
    if not isinstance(value, str):
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value and "\uffff" not in value


def integral(op: Operator, number: int | float) -> tuple[Operator, int] | bool:
    """A comparison with a 64-bit integer that holds for the same 64-bit integers; or whether it holds for all of
    them."""
    if isinstance(number, float) and not number.is_integer():
        if op in ("==", "!="):
            return op == "!="
        op, number = ("<=", floor(number)) if op in ("<", "<=") else (">=", ceil(number))
    whole = int(number)
    if INT_MIN <= whole <= INT_MAX:
        return op, whole
    return op in (("!=", "<", "<=") if whole > 0 else ("!=", ">", ">="))


def compared_integers(value: Sql, op: Operator, number: int | float, dialect: Dialect) -> Sql | None:
    """A comparison of an integer expression; None if it is never true."""
    compared = integral(op, number)
    if compared is False:
        return None
    if compared is True:
        return sql(value, " IS NOT NULL")
    op, whole = compared
    if op == "!=":
        return negated(sql(value, " = ", dialect.constant(whole)))
    return sql(value, f" {'=' if op == '==' else op} ", dialect.constant(whole))
