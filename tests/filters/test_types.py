"""What says that it is of another type is found by no store, if the mapping leads to where it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

from policyengine import Engine
from policyengine.filters import Backend, chroma, column, elasticsearch, json, lancedb, milvus, pinecone, qdrant, sql
from policyengine.filters.arrow import arrow
from policyengine.filters.descriptions import STORES, store_of
from policyengine.filters.polars import polars
from tests.filters.test_chroma import holding
from tests.filters.test_qdrant import in_memory

ENGINE = Engine.from_text("""
entity User { team: String }
entity Doc { team: String }
action read on Doc for User
permit own: read on Doc when doc.team == principal.team
""")
ANN = {"type": "User", "id": "ann", "team": "a"}
FILTER = ENGINE.filter(principal=ANN, action="read", resource_type="Doc")
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "none", "team": "a"},
    {"id": "same", "team": "a", "type": "Doc"},
    {"id": "other", "team": "a", "type": "invoice"},
    {"id": "empty", "team": "a", "type": ""},
    {"id": "theirs", "team": "b", "type": "Doc"},
]
ALLOWED = ["none", "same"]
TABLE = pa.Table.from_pylist([{"type": None, **each} for each in DOCUMENTS])
FRAME = pl.DataFrame(TABLE)
NAMED: dict[str, Any] = {"id": "id", "team": "team", "type": column("type", null="absent")}
ASKED: dict[str, tuple[Backend, Callable[[Any], list[str]], bool]] = {
    "arrow": (arrow(TABLE, NAMED), lambda native: TABLE.filter(native)["id"].to_pylist(), True),
    "arrow, by itself": (arrow(TABLE), lambda native: TABLE.filter(native)["id"].to_pylist(), False),
    "polars": (polars(FRAME, null="absent"), lambda native: FRAME.filter(native)["id"].to_list(), True),
    "qdrant": (qdrant(NAMED), in_memory(DOCUMENTS), False),
    "qdrant, by itself": (qdrant({"*": json("", names="checked")}), in_memory(DOCUMENTS), False),
    "chroma": (chroma(NAMED), lambda native: holding("types", DOCUMENTS)(native), False),
}


def test_decide_says_so() -> None:
    asked = [{"principal": ANN, "action": "read", "resource": {"type": "Doc", **each}} for each in DOCUMENTS]
    answers = ENGINE.decide_many(asked)
    assert [each["id"] for each, d in zip(DOCUMENTS, answers, strict=True) if d.allowed] == ALLOWED
    assert [each["id"] for each in FILTER.recheck(DOCUMENTS)] == ALLOWED


@pytest.mark.parametrize("store", ASKED)
def test_a_store_finds_none_of_another_type(store: str) -> None:
    backend, ask, exact = ASKED[store]
    query = FILTER.to(backend)
    assert query.exact is exact
    found = [each for each in DOCUMENTS if each["id"] in ask(query.native)]
    assert [each["id"] for each in (found if exact else query.recheck(found))] == ALLOWED
    assert exact or query.rechecked == ("doc is Doc",)


@pytest.mark.parametrize("store", STORES)
def test_whichever_store_is_told_of_types_asks_for_them_or_is_rechecked(store: str) -> None:
    properties: Any = {"team": {"type": "keyword"}, "type": {"type": "keyword"}}
    if store == "weaviate":
        properties = [{"name": name, "dataType": ["text"], "tokenization": "field"} for name in ("team", "type")]
    options = {"properties": properties} if store in ("weaviate", "elasticsearch", "opensearch") else {}
    for columns in ({"team": "team", "type": "kind"}, {"team": "team", "*": {"json": "data"}}):
        query = FILTER.to(store_of({"store": store, "columns": columns, **options}))
        assert "Doc" in str(query.native) or "doc is Doc" in query.rechecked
    query = FILTER.to(store_of({"store": store, "columns": {"team": "team"}, **options}))
    assert "doc is Doc" not in query.rechecked


def test_a_policy_that_allows_everything_allows_no_other_type() -> None:
    engine = Engine.from_text("entity User\nentity Doc\naction read on Doc for User\npermit all: read on Doc\n")
    found = engine.filter(principal={"type": "User", "id": "ann"}, action="read", resource_type="Doc")
    assert TABLE.filter(found.to(arrow(TABLE, NAMED), exact=True).native)["id"].to_pylist() == [
        "none",
        "same",
        "theirs",
    ]
    for backend in (elasticsearch({"type": {"type": "keyword"}}), pinecone(), lancedb({"*": json("data")})):
        assert "doc is Doc" in found.to(backend).rechecked
    for backend in (sql("sqlite", columns={"id": "id"}), lancedb({"id": "id"}), milvus({"id": "id"})):
        assert found.to(backend).exact


def test_one_column_does_not_hold_all_attributes() -> None:
    for backend in (sql("sqlite", columns={"*": "data"}), lancedb({"*": "data"}), milvus({"*": "data"})):
        assert FILTER.to(backend).rechecked[:2] == ('doc.team == "a"', "doc is Doc")
