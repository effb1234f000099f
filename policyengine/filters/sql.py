"""Filters as SQL: a condition for a WHERE clause and the values of its placeholders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from policyengine.filters import duckdb, postgresql, sqlite
from policyengine.filters.backend import Fragment, StoreLimits
from policyengine.filters.fields import Field, Fields
from policyengine.filters.sql_atoms import Atoms
from policyengine.filters.sql_text import ParamStyle, Sql, Where, Writing, both, either, render
from policyengine.filters.sql_text import sql as pieces
from policyengine.filters.sql_values import Dialect
from policyengine.partial.formula import Atom, Path

Database = Literal["postgresql", "sqlite", "duckdb"]

# The most names on the path to a value inside JSON.
_MOST_NAMES = {sqlite.DIALECT.name: 5, duckdb.DIALECT.name: 4}
# From this many nested parentheses on, a condition goes first and is not sorted.
_DEEP = 12


class BoundDialect(Dialect, Writing, Protocol):
    """A dialect whose conditions are text with placeholders."""


DIALECTS: dict[str, tuple[BoundDialect, ParamStyle]] = {
    "postgresql": (postgresql.DIALECT, "format"),
    "sqlite": (sqlite.DIALECT, "qmark"),
    "duckdb": (duckdb.DIALECT, "qmark"),
}


@dataclass(frozen=True, slots=True)
class SqlConditions:
    """Conditions as pieces of SQL, which `finish` turns into the query."""

    name: str
    fields: Fields
    atoms: Atoms
    made: Callable[[Sql], object]

    def atom(self, atom: Atom) -> Fragment | None:
        paths = [path for path in (getattr(atom, "path", ()), getattr(atom, "other", ())) if path]
        places = [self.fields.find(path) for path in paths]
        # Each name inside JSON nests one more expression.
        if any(place is not None and place.json and len(place.path) > self._names for place in places):
            return None
        return self.atoms.atom(atom)

    def naming(self, path: Path, name: str) -> Fragment | None:
        return self.atoms.naming(path, name)

    @property
    def _names(self) -> int:
        return _MOST_NAMES.get(self.name, 100)

    @property
    def limits(self) -> StoreLimits:
        # Before 3.46, the parser of SQLite has a stack of 100 symbols.
        return StoreLimits(12, 5_000) if self.name == sqlite.DIALECT.name else StoreLimits(50, 5_000)

    def all(self, items: Sequence[Sql]) -> Sql:
        return both(*_ordered(items))

    def some(self, items: Sequence[Sql]) -> Sql:
        return either(*_ordered(items))

    def nothing(self) -> Sql:
        return pieces("1 = 0")

    def everything(self) -> Sql:
        return pieces("1 = 1")

    def finish(self, native: Sql) -> object:
        return self.made(native)


def sql(
    database: Database,
    *,
    columns: Mapping[str, str | Field],
    table: str | None = None,
    paramstyle: ParamStyle | None = None,
) -> SqlConditions:
    """A condition for a WHERE clause. `query.where` is the text and `query.params` are the values of its placeholders.

    database: "postgresql" (12 or newer, encoding UTF8), "sqlite" (3.38 or newer), "duckdb" (1.1 or newer).
    columns: for each attribute of the resource that the table has, including `id`: the name of its column, or `column`,
        `json` or `ref`; `"*"` maps all other attributes, most often to `json("data")`.
    table: the name or alias of the table, if the query has more than one.
    paramstyle: how placeholders look: "format" (`%s`, also doubles `%` in the text; for psycopg), "pyformat"
        (`%(p0)s`), "qmark" (`?`), "named" (`:p0`; DuckDB `$p0`), "numeric" (`$1`; SQLite `?1`). The default is "format"
        for PostgreSQL and "qmark" for the others.

    Raises ValueError for an unknown database or style, and for a name that cannot be one in SQL.

    >>> from policyengine import Engine
    >>> from policyengine.filters import sql
    >>> engine = Engine.from_text('''module docs
    ... entity User {}
    ... entity Doc { tenant: String }
    ... action read on Doc for User
    ... permit own: read on Doc
    ...   when doc.tenant == "acme"
    ... ''')
    >>> found = engine.filter(principal={"type": "User", "id": "ann"}, action="read", resource_type="Doc")
    >>> query = found.to(sql("sqlite", columns={"id": "id", "tenant": "tenant"}))
    >>> query.params, query.exact
    (['acme', 'acme'], True)
    """
    dialect, usual = _dialect(database)
    style = usual if paramstyle is None else paramstyle
    if style not in ("format", "pyformat", "qmark", "named", "numeric"):
        raise ValueError(f"no such paramstyle: {style!r}")
    before = "" if table is None else f"{dialect.identifier(_name(table))}."

    def column(name: str) -> str:
        return before + dialect.identifier(_name(name))

    fields = Fields(columns)
    for place in columns.values():
        column(place.name if isinstance(place, Field) else place)

    def finished(native: Sql) -> Where:
        return render(native, column, style, lambda at: dialect.placeholder(style, at))

    return conditions(database, fields, finished)


def conditions(database: Database, fields: Fields, finished: Callable[[Sql], object]) -> SqlConditions:
    """The conditions of a database over these columns. Raises ValueError for an unknown database."""
    dialect, _ = _dialect(database)
    return SqlConditions(dialect.name, fields, Atoms(dialect, fields), finished)


def _dialect(database: str) -> tuple[BoundDialect, ParamStyle]:
    if database not in DIALECTS:
        raise ValueError(f"no such database: {database!r}; there are {', '.join(DIALECTS)}")
    return DIALECTS[database]


def _ordered(items: Sequence[Sql]) -> Sequence[Sql]:
    """The conditions with the short ones first: databases evaluate conditions of equal cost in the order of the text,
    and stop as soon as the result is known.

    But very deep ones come first, so that a parser can read them: SQLite's has a stack of 100 symbols (before 3.46),
    and keeps everything before an opening parenthesis until that is closed."""
    depths = [_depth(item) for item in items]
    if max(depths) <= _DEEP:
        return sorted(items, key=len)
    return [items[at] for at in sorted(range(len(items)), key=lambda at: -depths[at])]


def _depth(condition: Sql) -> int:
    depth = deepest = 0
    for piece in condition:
        if isinstance(piece, str):
            for character in piece:
                depth += (character == "(") - (character == ")")
                deepest = max(deepest, depth)
    return deepest


def _name(name: str) -> str:
    """A name that SQL can quote."""
    if not name or "\0" in name:
        raise ValueError("a name in SQL is not empty and has no NUL")
    return name
