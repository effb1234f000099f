"""Filters as expressions of SQLAlchemy Core, for a `where()` together with any others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import JSON, Boolean, ColumnElement, bindparam, inspect, text, type_coerce
from sqlalchemy.sql.elements import ClauseList, Grouping
from sqlalchemy.types import NullType

from policyengine.filters.fields import Field, Fields
from policyengine.filters.sql import Database, SqlConditions, conditions
from policyengine.filters.sql_text import Param, Sql, SqlColumn


def sqlalchemy(
    table: Any, columns: Mapping[str, str | Field] | None = None, *, database: Database = "postgresql"
) -> SqlConditions:  # fmt: skip
    """An expression for `where()`, with every value as a bound parameter.

    table: a Table, an alias, a subquery, or a mapped class; the expression refers to its columns.
    columns: for each attribute of the resource that the table has, the key of its column, or `column`, `json` or `ref`
        with that key; `"*"` maps all other attributes. Without it each column is the attribute of its key, and a column
        of JSON is one of any shape.
    database: the database that the expression is for; see `policyengine.filters.sql`.

    Raises ValueError for an unknown database, and for a key that is not one of the table's columns.
    """
    known = inspect(table).selectable.c
    if columns is None:
        columns = {column.key: Field(column.key, json=isinstance(column.type, JSON)) for column in known}
    names = [place.name if isinstance(place, Field) else place for place in columns.values()]
    for name in names:
        if name not in known:
            raise ValueError(f"the table has no column {name!r}")

    def finished(native: Sql) -> ColumnElement[bool]:
        return _expression(native, known)

    return conditions(database, Fields(columns), finished)


def _expression(pieces: Sql, columns: Mapping[str, ColumnElement[Any]]) -> ColumnElement[bool]:
    """The pieces in order. No parameter is converted: the text around it determines its type."""
    parts: list[Any] = []
    words: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            words.append(piece)
            continue
        parts += [_words(words)] if words else []
        words = []
        if isinstance(piece, SqlColumn):
            parts.append(columns[piece.name])
        else:
            parts.append(_bound(piece))
    parts += [_words(words)] if words else []
    nothing_between: Any = None
    whole = ClauseList(*parts, operator=nothing_between, group=False, group_contents=False)
    return type_coerce(Grouping(whole), Boolean())


def _words(words: list[str]) -> Any:
    return text("".join(words).replace(":", "\\:"))


def _bound(param: Param) -> Any:
    return bindparam(None, param.value, type_=NullType(), unique=True)
