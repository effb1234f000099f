"""Polars expressions, for frames and lazy frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import polars.selectors as cs

from policyengine.filters.columns import Columns
from policyengine.filters.fields import Field, Null
from policyengine.filters.table_library import OPERATORS, Expressions, LibraryColumn, mapping, pattern
from policyengine.partial.formula import Operator, Path

_INTEGERS = (pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32)
_UNITS = {"ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def polars(source: Any, columns: Mapping[str, str | Field] | None = None, *, null: Null | None = None) -> Columns:
    """Filters as Polars expressions.

    source: a `polars.Schema`, or a frame or lazy frame. A filter is for frames of this schema.
    columns: from attributes to columns; without it every column is the attribute of its name. Fields of a struct column
        are attributes below it.
    null: the meaning of a null in a column that is given by its name: no such attribute ("absent"), or null ("null").

    >>> import polars as pl
    >>> from policyengine import Engine
    >>> from policyengine.filters.polars import polars
    >>> engine = Engine.from_text('''
    ... entity User { team: String }
    ... entity Doc { team: String }
    ... action read on Doc for User
    ... permit own: read on Doc when doc.team == principal.team
    ... ''')
    >>> found = engine.filter(
    ...     principal={"type": "User", "id": "ann", "team": "a"}, action="read", resource_type="Doc"
    ... )
    >>> docs = pl.DataFrame({"id": ["d1", "d2"], "team": ["a", "b"]})
    >>> docs.filter(found.to(polars(docs)).native)["id"].to_list()
    ['d1']
    """
    schema: pl.Schema = source if isinstance(source, pl.Schema) else source.collect_schema()
    return Columns(_Polars(schema), mapping(columns, schema.names(), null))


@dataclass(frozen=True, slots=True)
class _Polars(Expressions):
    schema: pl.Schema

    @property
    def name(self) -> str:
        return "Polars"

    def column(self, name: str, below: Path) -> LibraryColumn | None:
        if name not in self.schema:
            return None
        # A selector is used because `pl.col` takes some names for patterns.
        expr, within = cs.by_name(name).as_expr(), []
        type_: Any = self.schema[name]
        for part in below:
            if not isinstance(type_, pl.Struct) or part == "*" or part.startswith("^"):
                return None
            fields = {field.name: field.dtype for field in type_.fields}
            if part not in fields:
                return None
            within.append(expr)
            expr, type_ = expr.struct.field(part), fields[part]
        return _column(expr, type_, tuple(within))

    def both(self, items: Sequence[Any]) -> Any:
        return pl.all_horizontal(items)

    def either(self, items: Sequence[Any]) -> Any:
        return pl.any_horizontal(items)

    def nothing(self) -> Any:
        return pl.lit(False)

    def everything(self) -> Any:
        return pl.lit(True)

    def relation(self, expr: Any, op: Operator, value: Any) -> Any:
        return OPERATORS[op](expr, value if isinstance(value, pl.Expr) else pl.lit(value))

    def among(self, expr: Any, values: Sequence[Any]) -> Any:
        return expr.is_in(list(values))

    def finite(self, expr: Any) -> Any:
        return expr.is_finite()

    def like(self, expr: Any, pieces: tuple[str, ...]) -> Any:
        first, *middle, last = pieces
        length = sum(map(len, pieces))
        conditions = [
            *([expr.str.starts_with(pl.lit(first))] if first else []),
            *([expr.str.ends_with(pl.lit(last))] if last else []),
        ]
        if len(middle) == 1 and not conditions:
            return expr.str.contains(pl.lit(middle[0]), literal=True)
        if middle:
            return expr.str.contains(pattern(pieces))
        if len(conditions) == 2:
            conditions.append(expr.str.len_chars() >= length)
        return self.both(conditions)

    def length(self, expr: Any) -> Any:
        return expr.str.len_chars()

    def count(self, expr: Any) -> Any:
        return expr.list.len()

    def distinct(self, expr: Any) -> Any:
        return expr.list.n_unique()

    def whole(self, column: LibraryColumn) -> Any:
        return column.expr.list.drop_nulls().list.len() == column.expr.list.len()

    def any(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        return column.expr.list.eval(pl.element().is_in(list(values))).list.any()

    def only(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        return column.expr.list.eval(pl.element().is_in(list(values))).list.all()

    def equals(self, column: LibraryColumn, values: Sequence[Any]) -> Any:
        return column.expr == pl.lit(list(values), dtype=column.packed)


def _column(expr: Any, type_: Any, within: tuple[Any, ...]) -> LibraryColumn | None:
    """The value in a form that Polars can compare, without loss; None for types that are not handled."""
    match type_:
        case pl.String():
            return LibraryColumn(expr, "text", within)
        case pl.Categorical() | pl.Enum():
            return LibraryColumn(expr.cast(pl.String), "text", within)
        case pl.Boolean():
            return LibraryColumn(expr, "bool", within)
        case pl.Float32() | pl.Float64():
            return LibraryColumn(expr.cast(pl.Float64), "float", within)
        case pl.Datetime(time_unit=unit, time_zone=zone) if zone is not None and unit in _UNITS:
            return LibraryColumn(expr.to_physical(), "time", within, _UNITS[unit])
        case pl.Duration(time_unit=unit) if unit in _UNITS:
            return LibraryColumn(expr.to_physical(), "duration", within, _UNITS[unit])
        case pl.Struct():
            return LibraryColumn(expr, "struct", within)
        case pl.List(inner=pl.String()):
            return LibraryColumn(expr, "texts", within, packed=type_)
        case pl.List(inner=inner) if inner in _INTEGERS:
            whole = pl.List(pl.Int64)
            return LibraryColumn(expr.cast(whole), "ints", within, packed=whole)
    return LibraryColumn(expr.cast(pl.Int64), "int", within) if type_ in _INTEGERS else None
