"""SQL as pieces: text written here, columns, and values, which are bound and never part of the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

ParamStyle = Literal["format", "pyformat", "qmark", "named", "numeric"]


@dataclass(frozen=True, slots=True)
class Param:
    """A value to be bound."""

    value: Any


@dataclass(frozen=True, slots=True)
class SqlColumn:
    """A column of the queried table, by its plain name."""

    name: str


class Writing(Protocol):
    """How a database writes the names of columns, and placeholders."""

    def identifier(self, name: str) -> str:
        """The name, quoted."""

    def placeholder(self, style: str, at: int) -> str:
        """The text that stands for the nth value, counted from 0."""


# The most conditions in one row.
MAX_ITEMS = 50

Piece = str | Param | SqlColumn
Sql = tuple[Piece, ...]


def sql(*items: Piece | Sql) -> Sql:
    """The pieces one after the other."""
    made: list[Piece] = []
    for item in items:
        if isinstance(item, tuple):
            made.extend(item)
        else:
            made.append(item)
    return tuple(made)


def both(*items: Sql) -> Sql:
    """All of the conditions."""
    return _joined(" AND ", items)


def either(*items: Sql) -> Sql:
    """At least one of the conditions."""
    return _joined(" OR ", items)


def negated(item: Sql) -> Sql:
    """The opposite of a condition that is never NULL."""
    return sql("NOT (", item, ")")


def _joined(word: str, items: Sequence[Sql]) -> Sql:
    if len(items) == 1:
        return items[0]
    if len(items) > MAX_ITEMS:
        # Databases read a long row as nested conditions, and limit the nesting.
        step = max(MAX_ITEMS, -(-len(items) // MAX_ITEMS))
        return _joined(word, [_joined(word, items[at : at + step]) for at in range(0, len(items), step)])
    made: list[Piece | Sql] = ["("]
    for at, item in enumerate(items):
        made += [word if at else "", item]
    return sql(*made, ")")


@dataclass(frozen=True, slots=True)
class Where:
    """A condition for a WHERE clause, which can be put between AND and OR as it is.

    where: the text, with placeholders.
    params: the values of the placeholders: by position, or for the styles "named" and "pyformat" by name.
    """

    where: str
    params: list[Any] | dict[str, Any]


def render(
    pieces: Sql, column: Callable[[str], str], style: ParamStyle, placeholder: Callable[[int], str]
) -> Where:  # fmt: skip
    """The pieces as text and parameters. `placeholder` gives the text for the nth parameter, counted from 0."""
    doubled = style in ("format", "pyformat")
    text: list[str] = []
    values: list[Any] = []
    for piece in pieces:
        if isinstance(piece, Param):
            text.append(placeholder(len(values)))
            values.append(piece.value)
            continue
        plain = column(piece.name) if isinstance(piece, SqlColumn) else piece
        text.append(plain.replace("%", "%%") if doubled else plain)
    named = style in ("named", "pyformat")
    return Where("".join(text), {f"p{at}": value for at, value in enumerate(values)} if named else values)
