"""Arrow compute expressions, for tables, datasets and scanners of `pyarrow`.

Arrow cannot search for an element in a list. Instead, a list is joined into one value, with a byte between the elements
that no text contains, and searched as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from policyengine.filters.columns import Columns
from policyengine.filters.fields import Field, Null
from policyengine.filters.table_library import OPERATORS, Expressions, LibraryColumn, mapping, pattern
from policyengine.partial.formula import Operator, Path

_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# UTF-8 never contains this byte.
_BETWEEN = b"\xff"


def arrow(source: Any, columns: Mapping[str, str | Field] | None = None, *, null: Null | None = None) -> Columns:
    """Filters as expressions of `pyarrow.compute`.

    source: a `pyarrow.Schema`, or an object that has one: a table, a dataset. A filter is for tables of this schema.
    columns: from attributes to columns; without it every column is the attribute of its name. Fields of a struct column
        are attributes below it.
    null: the meaning of a null in a column that is given by its name: no such attribute ("absent"), or null ("null").

    >>> import pyarrow as pa
    >>> from policyengine import Engine
    >>> from policyengine.filters.arrow import arrow
    >>> engine = Engine.from_text('''
    ... entity User { team: String }
    ... entity Doc { team: String }
    ... action read on Doc for User
    ... permit own: read on Doc when doc.team == principal.team
    ... ''')
    >>> found = engine.filter(
    ...     principal={"type": "User", "id": "ann", "team": "a"}, action="read", resource_type="Doc"
    ... )
    >>> docs = pa.table({"id": ["d1", "d2"], "team": ["a", "b"]})
    >>> docs.filter(found.to(arrow(docs)).native)["id"].to_pylist()
    ['d1']
    """
    schema: pa.Schema = source if isinstance(source, pa.Schema) else source.schema
    return Columns(_Arrow(schema), mapping(columns, schema.names, null))


@dataclass(frozen=True, slots=True)
class _Arrow(Expressions):
    schema: pa.Schema

    @property
    def name(self) -> str:
        return "Arrow"

    def column(self, name: str, below: Path) -> LibraryColumn | None:
        if self.schema.names.count(name) != 1:
            return None
        type_, path, within = self.schema.field(name).type, [name], []
        for part in below:
            if not pa.types.is_struct(type_) or [f.name for f in type_].count(part) != 1:
                return None
            within.append(pc.field(*path))
            type_ = type_.field(part).type
            path.append(part)
        expr = pc.field(*path)
        if pa.types.is_dictionary(type_):
            type_ = type_.value_type
            expr = expr.cast(type_)
        return _column(expr, type_, tuple(within))

    def both(self, items: Sequence[Any]) -> Any:
        return _tree(and_, items)

    def either(self, items: Sequence[Any]) -> Any:
        return _tree(or_, items)

    def nothing(self) -> Any:
        return pc.scalar(False)

    def everything(self) -> Any:
        return pc.scalar(True)

    def relation(self, expr: Any, op: Operator, value: Any) -> Any:
        return OPERATORS[op](expr, value if isinstance(value, pc.Expression) else pc.scalar(value))

    def among(self, expr: Any, values: Sequence[Any]) -> Any:
        return expr.isin(list(values))

    def finite(self, expr: Any) -> Any:
        return pc.is_finite(expr)

    def like(self, expr: Any, pieces: tuple[str, ...]) -> Any:
        match pieces:
            case (first, ""):
                return pc.starts_with(expr, first)
            case ("", last):
                return pc.ends_with(expr, last)
            case ("", middle, ""):
                return pc.match_substring(expr, middle)
        return pc.match_substring_regex(expr, pattern(pieces))

    def length(self, expr: Any) -> Any:
        return pc.utf8_length(expr)

    def count(self, expr: Any) -> Any:
        return pc.list_value_length(expr)

    def distinct(self, expr: Any) -> None:
        return None

    def whole(self, column: LibraryColumn) -> Any:
        return column.packed.is_valid()

    def any(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        around = pc.scalar(b"")
        joined = pc.binary_join_element_wise(around, column.packed, around, pc.scalar(_BETWEEN))
        # Patterns are written in ASCII: an expression that contains any other byte cannot be displayed.
        between = _escaped(_BETWEEN)
        if len(values) <= _MOST:
            patterns = [between + _escaped(_bytes(value)) + between for value in values]
            condition = self.either([pc.match_substring_regex(joined, each) for each in patterns])
        else:
            condition = pc.match_substring_regex(joined, between + _either(values) + between)
        # A list without elements and a list of one empty text look the same.
        return condition & (self.count(column.expr) > 0)

    def only(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        each = _either(values)
        pattern = rb"\A" + each + b"(?:" + _escaped(_BETWEEN) + each + rb")*\z"
        return pc.match_substring_regex(column.packed, pattern) | (self.count(column.expr) == 0)

    def equals(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        return (column.packed == _BETWEEN.join(map(_bytes, values))) & (self.count(column.expr) == len(values))


# More values than this are searched for with one pattern.
_MOST = 16


def _column(expr: Any, type_: Any, within: tuple[Any, ...]) -> LibraryColumn | None:
    """The value in a form that Arrow can compare, without loss; None for types that are not handled."""
    types = pa.types
    if types.is_string(type_) or types.is_large_string(type_):
        return LibraryColumn(expr, "text", within)
    if types.is_boolean(type_):
        return LibraryColumn(expr, "bool", within)
    if _is_integer(type_):
        return LibraryColumn(expr if type_ == pa.int64() else expr.cast(pa.int64()), "int", within)
    if types.is_float32(type_) or types.is_float64(type_):
        return LibraryColumn(expr if types.is_float64(type_) else expr.cast(pa.float64()), "float", within)
    if types.is_timestamp(type_) and type_.tz is not None and type_.unit in _UNITS:
        return LibraryColumn(expr.cast(pa.int64()), "time", within, _UNITS[type_.unit])
    if types.is_duration(type_) and type_.unit in _UNITS:
        return LibraryColumn(expr.cast(pa.int64()), "duration", within, _UNITS[type_.unit])
    if types.is_struct(type_):
        return LibraryColumn(expr, "struct", within)
    if types.is_list(type_) or types.is_large_list(type_):
        of = pa.large_list if types.is_large_list(type_) else pa.list_
        element = type_.value_type
        if types.is_string(element) or types.is_large_string(element):
            return LibraryColumn(expr, "texts", within, packed=_joined(expr.cast(of(pa.binary()))))
        if _is_integer(element):
            return LibraryColumn(expr, "ints", within, packed=_joined(expr.cast(of(pa.string())).cast(of(pa.binary()))))
    return None


def _is_integer(type_: Any) -> bool:
    """Whether a signed 64-bit integer holds all values of the type."""
    return bool(pa.types.is_integer(type_)) and type_ != pa.uint64()


def _joined(elements: Any) -> Any:
    """The elements in one value; null if one of them is null."""
    return pc.binary_join(elements, pc.scalar(_BETWEEN))


def _bytes(value: str | int) -> bytes:
    return str(value).encode()


def _tree(join: Any, items: Sequence[Any]) -> Any:
    """The items joined in a balanced tree: a deep expression would exhaust the stack."""
    while len(items) > 1:
        items = [reduce(join, items[at : at + 2]) for at in range(0, len(items), 2)]
    return items[0]


def _either(values: Sequence[str | int]) -> bytes:
    return b"(?:" + b"|".join(_escaped(_bytes(value)) for value in values) + b")"


def _escaped(value: bytes) -> bytes:
    """A pattern for these bytes, for RE2 in bytes mode."""
    return b"".join(b"\\x%02x" % byte for byte in value)
