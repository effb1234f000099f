"""Which documents Elasticsearch, Pinecone and Weaviate find, by their manuals. Written from these, and for what filters
use of them. What a manual leaves open is read in both ways: `Reading`.

Elasticsearch (and OpenSearch), "Query DSL" and "Field data types": `term`, `terms`, `range` and `wildcard` look at the
indexed values of a field, which are those of all elements of an array; null and empty arrays are not indexed; `exists`
is whether there is an indexed value; `keyword` is not analysed; `double` takes -0.0 for less than 0.0.

Pinecone, "Filter by metadata": metadata are flat; values are texts, numbers, booleans and lists of texts, no nulls; a
condition on a list is one on any of its elements; `$ne` and `$nin` are true if none is equal.

Weaviate, "Filters" and "Collection definition": the tokenization `field` removes white space around a text; `Equal`,
`ContainsAny` on arrays; what is missing is found by `IsNull` only, with `indexNullState`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import copysign
from typing import Any

Document = dict[str, Any]
_MONGO: dict[str, Callable[[Any, Any], bool]] = {
    "$lt": operator.lt, "$lte": operator.le, "$gt": operator.gt, "$gte": operator.ge,
}  # fmt: skip
_ELASTIC: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
}  # fmt: skip
_WEAVIATE: dict[str, Callable[[Any, Any], bool]] = {
    "LessThan": operator.lt, "LessThanEqual": operator.le, "GreaterThan": operator.gt, "GreaterThanEqual": operator.ge,
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """zeros: whether -0.0 is less than 0.0. empty: whether an empty list is there, and `$nin` of nothing is true."""

    zeros: bool
    empty: bool


READINGS = [Reading(zeros, empty) for zeros in (False, True) for empty in (False, True)]


def _number(value: Any, reading: Reading) -> Any:
    return (value, copysign(1, value) if value == 0 and reading.zeros else 1.0)


def _kind(value: Any) -> Any:
    return "number" if type(value) in (int, float) else type(value)


def _same(left: Any, right: Any, reading: Reading) -> bool:
    if _kind(left) != _kind(right):
        return False
    return bool(_number(left, reading) == _number(right, reading) if _kind(left) == "number" else left == right)


def _ordered(compare: Callable[[Any, Any], bool], left: Any, right: Any, reading: Reading) -> bool:
    return _kind(left) == _kind(right) == "number" and compare(_number(left, reading), _number(right, reading))


# ---- Elasticsearch ----


def indexed(document: Document, field: str, type_: str) -> list[Any]:
    found: Any = document
    for name in field.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    values = found if isinstance(found, list) else [found]
    return [float(v) if type_ == "double" else v for v in values if v is not None]


def elasticsearch_finds(query: Document, document: Document, types: dict[str, str], _: Reading) -> bool:
    ((kind, asked),) = query.items()
    zeros = Reading(True, False)
    match kind:
        case "match_all" | "match_none":
            return bool(kind == "match_all")
        case "bool":
            assert asked.keys() <= {"filter", "should", "must_not", "minimum_should_match"}
            clauses = {name: asked.get(name, []) for name in ("filter", "should", "must_not")}
            met = {k: [elasticsearch_finds(q, document, types, _) for q in queries] for k, queries in clauses.items()}
            return all(met["filter"]) and not any(met["must_not"]) and ("should" not in asked or any(met["should"]))
        case "exists":
            return bool(indexed(document, asked["field"], types[asked["field"]]))
    ((field, what),) = asked.items()
    values = indexed(document, field, types[field])
    match kind:
        case "term":
            return any(_same(v, what["value"], zeros) for v in values)
        case "terms":
            return any(_same(v, w, zeros) for v in values for w in what)
        case "range":
            return any(all(_ordered(_ELASTIC[op], v, w, zeros) for op, w in what.items()) for v in values)
        case "wildcard":
            parts = re.findall(r"\\(.)|([*?])|([^*?\\])", what["value"], re.DOTALL)
            pattern = "".join(".*" if p[1] == "*" else "." if p[1] == "?" else re.escape(p[0] or p[2]) for p in parts)
            return any(re.fullmatch(pattern, v, re.DOTALL) is not None for v in values)
    raise AssertionError(kind)


# ---- Pinecone ----


def pinecone_finds(query: Document, metadata: Document, reading: Reading) -> bool:
    return all(_pinecone(key, asked, metadata, reading) for key, asked in query.items())


def _pinecone(key: str, asked: Any, metadata: Document, reading: Reading) -> bool:
    if key in ("$and", "$or"):
        assert asked
        met = [pinecone_finds(each, metadata, reading) for each in asked]
        return all(met) if key == "$and" else any(met)
    value = metadata.get(key)
    there = value is not None and (value != [] or reading.empty)
    values = value if isinstance(value, list) else [value] if there else []
    ((op, what),) = asked.items()
    match op:
        case "$exists":
            return there is what
        case "$in":
            return any(_same(v, w, reading) for v in values for w in what)
        case "$nin":
            return (there or reading.empty) and not any(_same(v, w, reading) for v in values for w in what)
    return any(_ordered(_MONGO[op], v, float(what), reading) for v in values)


def metadata_of(row: Document) -> Document:
    """What of a row Pinecone can hold: numbers as doubles."""
    kept: Document = {}
    for name, value in row.items():
        if isinstance(value, str | bool) or (isinstance(value, list) and all(isinstance(v, str) for v in value)):
            kept[name] = value
        elif isinstance(value, int | float):
            kept[name] = float(value)
    return kept


# ---- Weaviate ----


def weaviate_finds(query: Document | None, row: Document, reading: Reading) -> bool:
    if query is None:
        return True
    if query["operator"] in ("And", "Or"):
        assert query["operands"]
        met = [weaviate_finds(each, row, reading) for each in query["operands"]]
        return all(met) if query["operator"] == "And" else any(met)
    (name,) = query["path"]
    (asked,) = (value for key, value in query.items() if key.startswith("value"))
    value = "an id" if name == "id" else row.get(name)
    values = [v.strip() if isinstance(v, str) else v for v in (value if isinstance(value, list) else [value])]
    match query["operator"]:
        case "IsNull":
            null = value is None or (value in ("", []) and not reading.empty)
            return null is asked
        case "Equal":
            wanted = asked.strip() if isinstance(asked, str) else asked
            return any(_same(v, wanted, reading) for v in values)
        case "ContainsAny":
            return any(_same(v, w.strip(), reading) for v in values for w in asked)
    return any(_ordered(_WEAVIATE[query["operator"]], v, asked, reading) for v in values if v is not None)
