"""Stores described as plain data, and queries as plain data: for callers that are not Python.

A description is `{"store": "postgresql", "columns": {"id": "id", "tenant": "tenant_id", "*": {"json": "data"}}}`. A
condition that JSON cannot express, such as a time bound to a placeholder, is left out of the query and goes to
`recheck`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Any

from policyengine.filters.backend import Backend, Fragment, StoreLimits
from policyengine.filters.chroma import chroma
from policyengine.filters.elasticsearch import elasticsearch
from policyengine.filters.fields import Field, Fields, column, ref
from policyengine.filters.fields import json as json_place
from policyengine.filters.filter import Query
from policyengine.filters.lancedb import lancedb
from policyengine.filters.milvus import milvus
from policyengine.filters.mongodb import mongodb
from policyengine.filters.pinecone import pinecone
from policyengine.filters.qdrant import qdrant
from policyengine.filters.sql import sql
from policyengine.filters.sql_text import Where
from policyengine.filters.storable_texts import is_text
from policyengine.filters.weaviate import weaviate
from policyengine.partial.formula import Atom, Path


@dataclass(frozen=True, slots=True)
class _Option:
    """The values that an option may have: in words, and as a test."""

    words: str
    fits: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class _Store:
    """make: makes the backend from columns and options. required: the options that it cannot be made without."""

    make: Callable[..., Backend]
    options: Mapping[str, _Option] = field(default_factory=dict)
    required: tuple[str, ...] = ()


def _is_texts(value: Any) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _is_index(value: Any) -> bool:
    """Whether this is the `properties` of an index mapping of Elasticsearch, down to the innermost."""
    return type(value) is dict and all(
        type(each) is dict and ("properties" not in each or _is_index(each["properties"])) for each in value.values()
    )


def _is_collection(value: Any) -> bool:
    """Whether this is the properties of a collection of Weaviate."""
    return type(value) is list and all(
        type(each) is dict and type(each.get("name")) is str and _is_texts(each.get("dataType")) for each in value
    )


# The longest name, and the most names and values in a description.
LONGEST_NAME, MOST_PARTS = 256, 10_000

_TEXT = _Option("text", lambda value: type(value) is str)
_SQL = {"table": _TEXT, "paramstyle": _TEXT}
_INDEX = _Store(elasticsearch, {"properties": _Option("what an index mapping has", _is_index)}, ("properties",))
_COLLECTION = {
    "properties": _Option("a list of objects with `name` and `dataType`", _is_collection),
    "null_index": _Option("true or false", lambda value: type(value) is bool),
}
_STORES: Mapping[str, _Store] = {
    "postgresql": _Store(partial(sql, "postgresql"), _SQL, ("columns",)),
    "sqlite": _Store(partial(sql, "sqlite"), _SQL, ("columns",)),
    "duckdb": _Store(partial(sql, "duckdb"), _SQL, ("columns",)),
    "chroma": _Store(lambda columns=None: chroma(columns)),
    "qdrant": _Store(
        lambda columns=None, **options: qdrant(columns, **options), {"below": _Option("a list of texts", _is_texts)}
    ),
    "lancedb": _Store(lancedb, required=("columns",)),
    "milvus": _Store(lambda columns: milvus(columns), required=("columns",)),
    "mongodb": _Store(mongodb),
    "elasticsearch": _INDEX,
    "opensearch": _INDEX,
    "pinecone": _Store(pinecone),
    "weaviate": _Store(weaviate, _COLLECTION, ("properties",)),
}
STORES = tuple(_STORES)
# The stores in which an attribute without a mapping has no place of its own name.
MAPPED = tuple(name for name, store in _STORES.items() if "columns" in store.required)


def store_of(value: Any) -> Backend:
    """The store of a description. Raises ValueError for a wrong description, with a message that says where.

    store: one of STORES. columns: from attributes to a name, or to `{"column": name, "null"?: "absent" | "null"}`,
    `{"json": name, "path"?: [names]}` or `{"ref": name, "type": type, "null"?: ...}`; the first two with `"names":
    "checked"`. Besides: `table` and `paramstyle` for SQL, `below` for Qdrant, `properties` for Elasticsearch,
    OpenSearch and Weaviate, which cannot do without, and `null_index` for Weaviate.
    """
    if type(value) is not dict:
        raise ValueError("a store is described by an object")
    _check_size(value)
    name = value.get("store")
    if type(name) is not str or name not in _STORES:
        raise ValueError(f"`store` is one of {', '.join(STORES)}")
    store = _STORES[name]
    for key, given in value.items():
        if key not in ("store", "columns") and key not in store.options:
            raise ValueError(f"{name} has no such option; known: {', '.join(['columns', *store.options])}")
        if key in store.options and not store.options[key].fits(given):
            raise ValueError(f"`{key}` is {store.options[key].words}")
    for key in store.required:
        if key not in value:
            raise ValueError(f"`{key}` is required")
    options = {key: value[key] for key in store.options if key in value}
    if "columns" in value:
        options["columns"] = {key: _field(key, one) for key, one in _columns(value).items()}
    return JsonOnly(store.make(**options))


def _check_size(value: Any) -> None:
    """Everything in a description goes into its queries, some of it many times, so the size is limited."""
    todo, parts = [value], 0
    while todo:
        one = todo.pop()
        parts += 1
        if type(one) is str and len(one) > LONGEST_NAME:
            raise ValueError(f"names have at most {LONGEST_NAME} characters")
        if type(one) is dict:
            todo += [*one, *one.values()]
        elif type(one) is list:
            todo += one
        if parts + len(todo) > MOST_PARTS:
            raise ValueError(f"a store is described with at most {MOST_PARTS:,} names")


def _columns(value: dict[str, Any]) -> dict[str, Any]:
    columns = value["columns"]
    if type(columns) is not dict:
        raise ValueError("`columns` is an object")
    return columns


def _field(attribute: str, value: Any) -> str | Field:
    if type(value) is str:
        return value
    given = dict(value) if type(value) is dict else {}
    # The values that are taken out have been checked, and nothing may be left over.
    kind = next((key for key in ("column", "json", "ref") if type(given.get(key)) is str), "")
    name, null, path, type_, names = given.pop(kind, ""), None, [], "", None
    if kind in ("column", "ref") and given.get("null") in ("absent", "null"):
        null = given.pop("null")
    if kind in ("column", "json") and given.get("names") == "checked":
        names = given.pop("names")
    if kind == "json" and _is_texts(given.get("path")):
        path = given.pop("path")
    if kind == "ref" and type(given.get("type")) is str:
        type_ = given.pop("type")
    if not kind or given or (kind == "ref" and not type_):
        raise ValueError(f"`columns`: `{attribute}` is not a name, and no `column`, `json` or `ref`")
    if kind == "json":
        return json_place(name, *path, names=names)
    return column(name, null=null, names=names) if kind == "column" else ref(name, type_, null=null)


def as_json(query: Query) -> dict[str, Any] | None:
    """The native query of a described store as JSON values: `{"where", "params"}` for SQL."""
    native: Any = query.native
    # A Chroma query is None if everything may be seen.
    return {"where": native.where, "params": native.params} if isinstance(native, Where) else native


@dataclass(frozen=True, slots=True)
class JsonOnly:
    """A backend that leaves out every condition that JSON cannot express."""

    of: Backend

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def fields(self) -> Fields:
        return self.of.fields

    @property
    def limits(self) -> StoreLimits:
        return self.of.limits

    def atom(self, atom: Atom) -> Fragment | None:
        fragment = self.of.atom(atom)
        return fragment if fragment is not None and _carried(self.of.finish(fragment.native)) else None

    def naming(self, path: Path, name: str) -> Fragment | None:
        return self.of.naming(path, name)

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
    """Whether JSON keeps a value unchanged. A tuple would become a list, and half of a surrogate pair could become
    anything."""
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
            return all(type(key) is str and is_text(key) for key in value) and all(map(_carried, value.values()))
    return False
