"""`sql(text)`: what the statements of a query do, as data that rules can test.

In: the text. Out: a record for every statement in it. The database is unknown, so the text is read as PostgreSQL, MySQL
and SQLite read it, and must mean the same to all of them. Anything else raises Fault: syntax that one of them does not
know, comments (some of which some databases run), backslashes, `$`-quotes, and changes within another statement. Needs
the library `sqlglot`; without it, every text raises Fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.sql_row_limits import is_limited
from policyengine.model.values import Fault

LONGEST = 16_384
DIALECTS = ("postgres", "mysql", "sqlite")
_QUOTED = re.compile(r"'[^']*'")
_UNCLEAR = re.compile(r"--|/\*|\*/|[#\\$`]|[\x00-\x08\x0b-\x1f\x7f-\xa0\xad]|[^\S \t\n]|[\u200b-\u200f\u2060\ufeff]")
# By the classes of the library.
_KINDS = {
    "Select": "select", "Union": "select", "Intersect": "select", "Except": "select", "Subquery": "select",
    "Insert": "insert", "Update": "update", "Delete": "delete", "Merge": "merge", "Create": "create", "Drop": "drop",
    "Alter": "alter", "TruncateTable": "truncate", "Transaction": "begin", "Commit": "commit", "Rollback": "rollback",
}  # fmt: skip
_BEGINS = frozenset({*_KINDS.values(), "with"})
# Objects whose text or body runs later, or elsewhere.
_MADE = frozenset({"TABLE", "VIEW", "INDEX", "SCHEMA", "DATABASE"})
_CHANGES = ("Insert", "Update", "Delete", "Merge", "Create", "Drop", "Alter", "TruncateTable")


@lru_cache(512)
def sql(text: str) -> tuple[dict[str, Any], ...]:
    """The statements, in order. Raises Fault for a text that is not plainly understood."""
    if len(text) > LONGEST:
        raise _refused("it is too long")
    # Quoted text has no meaning here, but for some databases a backslash may move its end.
    if "\\" in text or _UNCLEAR.search(_QUOTED.sub("''", text)):
        raise _refused("it has a comment, a backslash or another sign that databases read in different ways")
    begun = [part.split(None, 1)[0].lower() for part in _QUOTED.sub("''", text).split(";") if part.strip()]
    if not begun or not _BEGINS.issuperset(word.lstrip("(") or "select" for word in begun):
        raise _refused("it is a statement of a kind that is not known")
    readings = [_read(text, dialect) for dialect in DIALECTS]
    if any(one != readings[0] for one in readings):
        raise _refused("databases read it in different ways")
    return tuple(readings[0])


def _refused(why: str) -> Fault:
    return Fault(codes.STATEMENT_NOT_UNDERSTOOD.id, f"the query is not understood: {why}")


def _read(text: str, dialect: str) -> list[dict[str, Any]]:
    try:
        library = import_module("sqlglot")
    except ImportError:
        raise _refused("the library that reads it is not installed (the extra `sql`)") from None
    try:
        parsed = library.parse(text, read=dialect, error_level=library.ErrorLevel.RAISE)
        return [_statement(tree, library.exp) for tree in parsed if tree is not None]
    except (library.errors.SqlglotError, RecursionError, ValueError, AttributeError):
        raise _refused("it is not a statement that all databases know") from None


def _statement(tree: Any, exp: Any) -> dict[str, Any]:
    kind = _KINDS.get(type(tree).__name__)
    inside = [node for node in tree.walk() if type(node).__name__ in _CHANGES and node is not tree]
    # Other transactions wait for locked rows.
    if kind is None or inside or tree.find(exp.Command, exp.Lock):
        raise _refused("it is a statement of a kind that is not known")
    if kind == "create" and str(tree.args.get("kind")).upper() not in _MADE:
        raise _refused("it is a statement of a kind that is not known")
    writes = set(_targets(tree, exp))
    into = tree.find(exp.Into)
    if into is not None:
        kind = "create"
    target = tree.args.get("this")
    if kind in ("update", "delete") and (target is None or target.args.get("joins") or tree.args.get("tables")):
        raise _refused("it changes more than one table")
    written = [node for node in (target, into and into.this) if node is not None]
    tables = [table for table in tree.find_all(exp.Table) if not _is_named_here(table, exp)]
    targets = {id(table) for node in written for table in node.find_all(exp.Table)} if writes else set()
    reads = {_name(table) for table in tables if kind == "select" or id(table) not in targets}
    if kind in ("update", "delete", "merge"):
        # A changed table is read as well.
        reads |= writes
    columns = {column.name.lower() for column in tree.find_all(exp.Column)}
    columns |= {one.name.lower() for schema in tree.find_all(exp.Schema) for one in schema.expressions}
    if tree.find(exp.Star) or _has_others(tree, kind, columns, exp):
        columns.add("*")
    functions = {_function(node) for node in tree.find_all(exp.Func) if not isinstance(node, exp.Connector)}
    return {
        "kind": kind, "reads": sorted(reads), "writes": sorted(writes), "columns": sorted(columns),
        "functions": sorted(functions), "limited": is_limited(tree, exp),
    }  # fmt: skip


def _targets(tree: Any, exp: Any) -> Iterator[str]:
    into = tree.find(exp.Into)
    nodes = [into.this] if into is not None else []
    if type(tree).__name__ in _CHANGES:
        nodes.append(tree.args.get("this"))
        nodes += tree.expressions if type(tree).__name__ == "TruncateTable" else []
    if type(tree).__name__ in ("Drop", "Alter"):
        yield from (_name(table) for table in tree.find_all(exp.Table))
        return
    for node in nodes:
        first = node.find(exp.Table) if node is not None else None
        if first is not None:
            yield _name(first)


def _name(table: Any) -> str:
    """A table with its database and schema, if they are given. Case matters only in quotes, and is ignored here."""
    return ".".join(part.name for part in table.parts).lower()


def _function(node: Any) -> str:
    return str(node.name if type(node).__name__ == "Anonymous" else node.sql_name()).lower()


def _is_named_here(table: Any, exp: Any) -> bool:
    """Whether the name was defined by an enclosing `WITH`, if that can be determined."""
    if table.args.get("db") or not table.name:
        return False
    below, node = table, table.parent
    while node is not None:
        clause = node.args.get("with_") or node.args.get("with")
        if isinstance(clause, exp.With):
            names = [cte.alias.lower() for cte in clause.expressions]
            if below is clause:
                at = next(i for i, cte in enumerate(clause.expressions) if _is_in(table, cte))
                names = names[: at + 1] if clause.args.get("recursive") else names[:at]
            if table.name.lower() in names:
                return True
        below, node = node, node.parent
    return False


def _is_in(node: Any, above: Any) -> bool:
    while node is not None and node is not above:
        node = node.parent
    return node is above


def _has_others(tree: Any, kind: str, columns: set[str], exp: Any) -> bool:
    """Whether it uses columns that it does not name: a whole row through the table's name, or columns whose names come
    from the statement or from a table."""
    if kind == "insert" and not isinstance(tree.args.get("this"), exp.Schema):
        return True
    rows = {one.alias_or_name.lower() for one in tree.find_all(exp.Table, exp.Subquery, exp.CTE)}
    renamed = any(
        alias.args.get("columns") and isinstance(alias.parent, exp.Table) for alias in tree.find_all(exp.TableAlias)
    )
    shared = any(join.args.get("using") or join.args.get("method") for join in tree.find_all(exp.Join))
    return renamed or shared or not rows.isdisjoint(columns)
