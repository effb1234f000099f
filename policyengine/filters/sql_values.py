"""What the SQL of one database has to be able to say of a value, a collection and a constant.

Expressions for a value are NULL where the value is not of the type (of a column, where `is_of` is not true); so a
comparison with one is true only of values of the type, as atoms are. Conditions are true, false or NULL; one is negated
where it is NULL only of what is not of the type, or where something beside it says that it is not NULL.
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

# Of an array to values: one of them is in it, all are, nothing else is, it is the same set, it is the same list.
How = Literal["overlaps", "includes", "is_within", "same_set", "same_list"]

# Between these, every integer is a double and every number has room on both sides, whatever a column holds.
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
        """The value is a finite number, and stands in the relation (not "!=") to one between -SAFE and SAFE."""

    def is_number(self) -> Sql:
        """The value is a finite number."""

    def is_text_of(self, texts: Sequence[str]) -> Sql:
        """The value is one of the texts."""


class Json(SqlValue, Protocol):
    """A value inside a JSON document, or one that is not there."""

    def there(self) -> Sql: ...

    def is_kind(self, kind: Literal["object", "array", "null"]) -> Sql: ...

    def get(self, name: str) -> Json:
        """The value of a key, if this is an object that has it: the last, if it has it more than once."""

    def item(self, at: int) -> Json:
        """An element, if this is an array that has it, counted from 0."""

    def length(self) -> Sql:
        """The number of elements, if this is an array."""

    def is_texts(self) -> Sql | None:
        """This is an array of nothing but texts, if there is a short way to say it."""

    def includes(self, text: str) -> Sql | None:
        """The text is in this array, of one that `is_texts`, if there is a short way to say it."""

    def each(self) -> tuple[Sql, Json]:
        """What stands after FROM for the elements, and the element; of what is not an array, none."""


class Array(Protocol):
    """A column of the database's own array type that holds texts or integers. Its length is not NULL, where
    `well_formed` is true."""

    def well_formed(self) -> Sql:
        """It is there, and every element is of its type."""

    def elements(self, how: How, values: Sequence[str | int]) -> Sql:
        """It is well formed and stands in the relation to the values."""

    def lacks(self, how: How, values: Sequence[str | int]) -> Sql:
        """It is well formed and does not stand in the relation to the values."""

    def length(self) -> Sql: ...

    def different(self) -> Sql:
        """The number of different elements."""


class Dialect(Protocol):
    """The SQL of one database. `length` counts code points."""

    @property
    def name(self) -> str: ...

    def is_of(self, column: Sql, type_: Type) -> Sequence[Sql]:
        """What has to stand beside a condition on a column, as that may be true of a column of another type: that this
        one holds values of the type, or an error if not; nothing if such a condition says so itself."""

    def scalar(self, column: Sql) -> SqlValue: ...

    def json(self, column: Sql) -> Json: ...

    def array(self, column: Sql, element: Type) -> Array | None: ...

    def one_of(self, expr: Sql, values: Sequence[str] | Sequence[int]) -> Sql: ...

    def constant(self, value: str | int) -> Sql: ...

    def says(self, column: Sql, part: str) -> Sql:
        """The text of a column of JSON has this part."""

    def length(self, text: Sql) -> Sql: ...

    def like(self, text: Sql, pieces: Sequence[str]) -> Sql | None: ...

    def time(self, column: Sql, op: Operator | None, time: datetime) -> Sql | None:
        """A column of the database's own type for points in time holds one of the years 1 to 9999, and with `op` stands
        in the relation."""


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
    """The relation of a 64-bit integer to a number as one to a 64-bit integer; or whether it is true of every one."""
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
