"""Stores described as plain data, and queries as plain data: for callers that are not Python.

A description is `{"store": "postgresql", "columns": {"id": "id", "tenant": "tenant_id", "*": {"json": "data"}}}`. What
a query in JSON cannot carry, such as a time bound to a placeholder, the store is not asked for: it goes to `recheck`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import Any

from policyengine.filters.backend import Backend, Fragment
from policyengine.filters.chroma import chroma
from policyengine.filters.constants import is_text
from policyengine.filters.fields import Field, column, ref
from policyengine.filters.fields import json as json_place
from policyengine.filters.filter import Query
from policyengine.filters.lancedb import lancedb
from policyengine.filters.milvus import milvus
from policyengine.filters.mongodb import mongodb
from policyengine.filters.pinecone import pinecone
from policyengine.filters.qdrant import qdrant
from policyengine.filters.sql import sql
from policyengine.filters.sql_text import Where
from policyengine.partial.formula import Atom

_Columns = Mapping[str, str | Field] | None


def _with_columns(make: Callable[..., Backend]) -> Callable[..., Backend]:
    def made(columns: _Columns, **options: Any) -> Backend:
        if columns is None:
            raise ValueError("`columns` is required")
        return make(columns=columns, **options)

    return made


def _sql(database: Any) -> Callable[..., Backend]:
    return _with_columns(partial(sql, database))


# What makes each, and the options it takes: text, or a list of texts.
_STORES: Mapping[str, tuple[Callable[..., Backend], Mapping[str, type[str] | type[list[str]]]]] = {
    "postgresql": (_sql("postgresql"), {"table": str, "paramstyle": str}),
    "sqlite": (_sql("sqlite"), {"table": str, "paramstyle": str}),
    "duckdb": (_sql("duckdb"), {"table": str, "paramstyle": str}),
    "chroma": (chroma, {}),
    "qdrant": (qdrant, {"below": list}),
    "lancedb": (_with_columns(lambda columns: lancedb(columns)), {}),
    "milvus": (_with_columns(lambda columns: milvus(columns)), {}),
    "mongodb": (mongodb, {}),
    "pinecone": (pinecone, {}),
}
STORES = tuple(_STORES)


def described(value: Any) -> Backend:
    """The store that a description is of. Raises ValueError for what is none, with a message that says where.

    store: one of STORES. columns: from attributes to a name, or to `{"column": name, "null"?: "absent" | "null"}`,
    `{"json": name, "path"?: [names]}` or `{"ref": name, "type": type, "null"?: ...}`. Besides: `table` and `paramstyle`
    for SQL, `below` for Qdrant.
    """
    if type(value) is not dict:
        raise ValueError("a store is described by an object")
    name = value.get("store")
    if type(name) is not str or name not in _STORES:
        raise ValueError(f"`store` is one of {', '.join(STORES)}")
    make, options = _STORES[name]
    for key, given in value.items():
        if key not in ("store", "columns") and key not in options:
            raise ValueError(f"{name} has no such option; known: {', '.join(['columns', *options])}")
        if key in options and not _is(given, options[key]):
            raise ValueError(f"`{key}` is {'text' if options[key] is str else 'a list of texts'}")
    columns = {key: _field(key, one) for key, one in _columns(value).items()} if "columns" in value else None
    return Plain(make(columns, **{key: value[key] for key in options if key in value}))


def _is(value: Any, type_: type[str] | type[list[str]]) -> bool:
    return type(value) is type_ and (type_ is str or all(type(item) is str for item in value))


def _columns(value: dict[str, Any]) -> dict[str, Any]:
    columns = value["columns"]
    if type(columns) is not dict:
        raise ValueError("`columns` is an object")
    return columns


def _field(attribute: str, value: Any) -> str | Field:
    if type(value) is str:
        return value
    given = dict(value) if type(value) is dict else {}
    # Whatever is taken out is of the right kind, and nothing may be left.
    kind = next((key for key in ("column", "json", "ref") if type(given.get(key)) is str), "")
    name, null, path, type_ = given.pop(kind, ""), None, [], ""
    if kind in ("column", "ref") and given.get("null") in ("absent", "null"):
        null = given.pop("null")
    if kind == "json" and _is(given.get("path"), list):
        path = given.pop("path")
    if kind == "ref" and type(given.get("type")) is str:
        type_ = given.pop("type")
    if not kind or given or (kind == "ref" and not type_):
        raise ValueError(f"`columns`: `{attribute}` is no name, and no `column`, `json` or `ref`")
    if kind == "json":
        return json_place(name, *path)
    return column(name, null=null) if kind == "column" else ref(name, type_, null=null)


def plain(query: Query) -> dict[str, Any] | None:
    """The native query of a described store as JSON values: `{"where", "params"}` for SQL."""
    native: Any = query.native
    # Chroma takes nothing at all where everything may be seen.
    return {"where": native.where, "params": native.params} if isinstance(native, Where) else native


@dataclass(frozen=True, slots=True)
class Plain:
    """A backend that is asked for nothing that JSON cannot carry."""

    of: Backend

    @property
    def name(self) -> str:
        return self.of.name

    def atom(self, atom: Atom) -> Fragment | None:
        found = self.of.atom(atom)
        return found if found is not None and _carried(self.of.finish(found.native)) else None

    def all(self, items: Sequence[Any]) -> Any:
        return self.of.all(items)

    def some(self, items: Sequence[Any]) -> Any:
        return self.of.some(items)

    def nothing(self) -> Any:
        return self.of.nothing()

    def everything(self) -> Any:
        return self.of.everything()

    def finish(self, native: Any) -> Any:
        return self.of.finish(native)


def _carried(value: Any) -> bool:
    """Whether JSON carries a value as it is. A tuple would become a list, half of a surrogate pair anything."""
    match value:
        case Where(where=where, params=params):
            return _carried(where) and _carried(params)
        case None | bool() | int():
            return type(value) in (type(None), bool, int)
        case str():
            return type(value) is str and is_text(value)
        case float():
            return isfinite(value)
        case list():
            return all(map(_carried, value))
        case dict():
            return all(type(key) is str for key in value) and all(map(_carried, value.values()))
    return False
