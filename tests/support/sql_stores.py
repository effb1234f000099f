"""The documents of the corpus in real databases: as JSON, and where they are well typed, in typed columns."""

from __future__ import annotations

import json as json_text
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from tempfile import mkdtemp
from typing import Any

import pgserver
import psycopg

from policyengine.filters import Field, column, json, ref
from policyengine.filters.sql_text import Where
from tests.support.apart import Run, apart, in_duckdb, in_sqlite
from tests.support.filter_checks import ALL_DOCUMENTS

Document = dict[str, Any]

# A part of the documents with something of each kind.
PART = ALL_DOCUMENTS[::10]

# Names of columns that a careless query would trip over.
ID = 'i"d `%s'
JSON = {"id": column(ID), "*": json("value", names="checked")}
_TYPED = {
    "id": column("id"),
    **{name: column(name, null="absent") for name in ("s", "n", "x", "flag", "so", "no", "fo")},
    **{name: ref(name, "User", null="absent") for name in ("owner", "oo")},
    "folder": ref("folder", "Folder", null="absent"),
    "data": Field("data", json=True, null="absent"),
    "rec": Field("rec", json=True, null="absent"),
}
ARRAYS = {
    **{name: column(name, null="absent") for name in ("tags", "names", "nums", "to", "at")},
    "readers": ref("readers", "User", null="absent"),
    "allowed": ref("allowed", "Group", null="absent"),
    "parents": ref("parents", "Folder", null="absent"),
}
LISTS = {
    name: Field(name, json=True, null="absent", names="checked")
    for name in ("tags", "names", "nums", "to", "readers", "allowed", "parents", "at")
}
TYPED = {"postgresql": {**_TYPED, **ARRAYS}, "duckdb": {**_TYPED, **ARRAYS}, "sqlite": {**_TYPED, **LISTS}}
_TYPES = {
    "postgresql": {"s": "text", "n": "bigint", "x": "double precision", "flag": "boolean", "so": "text", "no": "bigint",
        "fo": "boolean", "owner": "text", "oo": "text", "folder": "text", "data": "jsonb", "rec": "jsonb",
        "tags": "text[]", "names": "text[]", "nums": "bigint[]", "to": "text[]", "at": "timestamptz",
        "readers": "text[]", "allowed": "text[]", "parents": "text[]"},
    "sqlite": {"s": "text COLLATE NOCASE", "n": "integer", "x": "real", "flag": "boolean", "so": "text",
        "no": "integer", "fo": "boolean"},
    "duckdb": {"s": "VARCHAR COLLATE NOCASE", "n": "BIGINT", "x": "DOUBLE", "flag": "BOOLEAN", "so": "VARCHAR",
        "no": "BIGINT", "fo": "BOOLEAN", "owner": "VARCHAR", "oo": "VARCHAR", "folder": "VARCHAR", "data": "JSON",
        "rec": "JSON", "tags": "VARCHAR[]", "names": "VARCHAR[]", "nums": "BIGINT[]", "to": "VARCHAR[]",
        "at": "TIMESTAMPTZ", "readers": "VARCHAR[]", "allowed": "VARCHAR[]", "parents": "VARCHAR[]"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Store:
    """A database, and how it is asked."""

    name: str
    run: Run
    json_type: str
    mark: str
    connection: Any = None
    quote: str = '"'

    @property
    def percent(self) -> str:
        """How a `%` is written in a text."""
        return "%%" if self.name == "postgresql" else "%"

    def quoted(self, name: str) -> str:
        return self.quote + name.replace(self.quote, self.quote * 2) + self.quote

    def hold_json(self, table: str, documents: Iterable[Document]) -> None:
        """A table with an id and the rest of each document as JSON."""
        self.run(f"CREATE TABLE {table} ({self._raw(ID)} text, value {self.json_type})", ())
        self.add_json(table, documents)

    def add_json(self, table: str, documents: Iterable[Document]) -> None:
        for each in documents:
            rest = {name: value for name, value in each.items() if name != "id"}
            self.run(f"INSERT INTO {table} VALUES ({self.mark}, {self.mark})", (each["id"], json_text.dumps(rest)))

    def hold_typed(self, table: str, documents: Sequence[Document]) -> None:
        """A table with a column for each attribute."""
        types, fields = _TYPES[self.name], TYPED[self.name]
        shown = ", ".join(f"{self.quoted(name)} {types.get(name, 'text')}" for name in fields)
        self.run(f"CREATE TABLE {table} ({shown})", ())
        marks = ", ".join([self.mark] * len(fields))
        for each in documents:
            row = tuple(_cell(each[name], field) if name in each else None for name, field in fields.items())
            self.run(f"INSERT INTO {table} VALUES ({marks})", row)

    def ids(self, table: str, query: Where, id_: str = "id") -> set[str]:
        """The ids of what a query finds."""
        return {row[0] for row in self.run(f"SELECT {self._raw(id_)} FROM {table} WHERE {query.where}", query.params)}

    def _raw(self, name: str) -> str:
        return self.quoted(name).replace("%", self.percent)


def _cell(value: Any, field: Field) -> Any:
    """A value as its column holds it."""
    if field.json:
        return json_text.dumps(value)
    if field.refers_to is not None:
        return [each["id"] for each in value] if isinstance(value, list) else value["id"]
    return value


def sqlite_store() -> Store:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    return _sqlite(lambda text, params: connection.execute(text, params).fetchall(), connection)


def sqlite_store_apart() -> Store:
    return _sqlite(apart(in_sqlite))


def _sqlite(run: Run, connection: sqlite3.Connection | None = None) -> Store:
    return Store("sqlite", run, "text", "?", connection, "`")


@cache
def duckdb_run() -> Run:
    """Runs a statement in the one DuckDB that all tests of this process share."""
    return apart(in_duckdb)


def duckdb_store() -> Store:
    return Store("duckdb", duckdb_run(), "JSON", "?")


def postgresql_store() -> Store:
    # Not below pytest's directory, which a server that gives up root's rights cannot reach when it stops.
    directory = mkdtemp(prefix="policyengine-postgresql-")
    connection = psycopg.connect(pgserver.get_server(directory, cleanup_mode="delete").get_uri(), autocommit=True)

    connection.execute("SET synchronous_commit = off")

    def run(text: str, params: Any) -> list[tuple[Any, ...]]:
        # Even without parameters, `%%` stands for a percent sign.
        found = connection.execute(text, params)
        return found.fetchall() if found.description else []

    return Store("postgresql", run, "jsonb", "%s", connection)
