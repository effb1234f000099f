"""`POST /v1/filter` over HTTP: the query finds, in a real store, what evaluation allows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from policyengine import Engine, filters
from policyengine.filters.descriptions import STORES, as_json, store_of
from tests.server.serving import EVALUATION, serving

POLICIES = """\
module docs

entity User { team: String, clearance: Int }
entity Doc { team: String, level: Int, tags: Set<String>, due?: Time }
action read on Doc for User
action burn on Doc for User

permit own: read on Doc
  when doc.team == principal.team and doc.level <= principal.clearance

permit due: read on Doc
  when doc has due and doc.due < time("2026-01-01T00:00:00Z")

forbid drafts: read on Doc
  when "draft" in doc.tags
"""
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("d1", {"team": "a", "level": 1, "tags": []}),
    ("d2", {"team": "a", "level": 5, "tags": []}),
    ("d3", {"team": "a", "level": 1, "tags": ["draft"]}),
    ("d4", {"team": "b", "level": 1, "tags": []}),
    ("d5", {"team": "b", "level": 1, "tags": [], "due": "2025-06-01T00:00:00Z"}),
    ("d6", {"team": "a", "level": "1", "tags": []}),
    ("d7", {}),
]
ANN = {"type": "User", "id": "ann", "properties": {"team": "a", "clearance": 3}}
ASKED = {"subject": ANN, "action": {"name": "read"}, "resource": {"type": "Doc"}}
SQLITE = {"store": "sqlite", "columns": {"id": "id", "*": {"json": "data"}}}
INDEX = {"team": {"type": "keyword"}, "level": {"type": "long"}, "meta": {"properties": {"x": {"type": "keyword"}}}}
# What cannot be described by columns alone.
OPTIONS: dict[str, dict[str, Any]] = {
    "elasticsearch": {"properties": INDEX},
    "opensearch": {"properties": INDEX},
    "weaviate": {"properties": [{"name": "level", "dataType": ["int"]}], "null_index": True},
}
ELASTIC, WEAVIATE = ({"store": store, **OPTIONS[store]} for store in ("elasticsearch", "weaviate"))


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("filter")
    (directory / "docs.pol").write_text(POLICIES, encoding="utf-8")
    with serving(directory) as client:
        yield client


def _filter(client: httpx.Client, **more: Any) -> dict[str, Any]:
    response = client.post("/v1/filter", json={**ASKED, **more})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def _found(query: dict[str, Any]) -> list[str]:
    with sqlite3.connect(":memory:") as base:
        base.execute("CREATE TABLE docs (id TEXT, data TEXT)")
        base.executemany("INSERT INTO docs VALUES (?, ?)", [(id_, json.dumps(data)) for id_, data in ROWS])
        return [row[0] for row in base.execute(f"SELECT id FROM docs WHERE {query['where']}", query["params"])]


def _allowed(client: httpx.Client) -> list[str]:
    def allows(id_: str, data: dict[str, Any]) -> bool:
        document = {"type": "Doc", "id": id_, "properties": data}
        decision: bool = client.post(EVALUATION, json={**ASKED, "resource": document}).json()["decision"]
        return decision

    return [id_ for id_, data in ROWS if allows(id_, data)]


def test_the_query_finds_what_is_allowed(docs: httpx.Client) -> None:
    answer = _filter(docs, backend=SQLITE)
    assert answer["kind"] == "conditional"
    found, allowed = _found(answer["query"]), _allowed(docs)
    assert allowed == ["d1", "d5"]
    assert set(allowed) <= set(found)
    assert answer["exact"] is (not answer["rechecked"])
    if answer["exact"]:
        assert found == allowed


def test_an_exact_query_or_none(docs: httpx.Client) -> None:
    columns = {"id": "id", "team": "team", "level": "level", "tags": {"json": "tags"}, "due": "due"}
    refused = docs.post("/v1/filter", json={**ASKED, "exact": True, "backend": {"store": "sqlite", "columns": {}}})
    assert refused.status_code == 400
    assert "of the conditions exactly" in refused.json()["detail"]
    assert "acme" not in refused.text
    del columns["due"]
    assert _filter(docs, backend={"store": "sqlite", "columns": columns})["exact"] is False


def test_without_a_backend(docs: httpx.Client) -> None:
    assert "residual" not in _filter(docs)
    answer = _filter(docs, explain=True)
    assert (answer["exact"], answer["query"], answer["rechecked"]) == (None, None, [])
    assert 'doc.team == "a" and doc.level <= 3' in answer["residual"]
    assert answer["revision"]


def test_what_is_echoed_is_bounded(docs: httpx.Client) -> None:
    long = {**SQLITE, "table": "t" * 300}
    refused = docs.post("/v1/filter", json={**ASKED, "backend": long})
    assert (refused.status_code, "at most 256 characters" in refused.text) == (400, True)
    big = {**ASKED, "subject": {**ANN, "id": "x" * 70_000}}
    assert docs.post("/v1/filter", json={**big, "explain": True}).status_code == 413
    assert len(docs.post("/v1/filter", json=big).content) < 140_000


def test_nothing_may_be_seen(docs: httpx.Client) -> None:
    for asked in ({"action": {"name": "burn"}}, {"action": {"name": "fly"}}, {"resource": {"type": "Nope"}}):
        answer = _filter(docs, backend=SQLITE, **asked)
        assert (answer["kind"], answer["exact"]) == ("never", True)
        assert _found(answer["query"]) == []
        assert ("errors" in answer) is (asked != {"action": {"name": "burn"}})


def test_what_all_resources_have(docs: httpx.Client) -> None:
    draft = {"type": "Doc", "id": "ignored", "properties": {"tags": ["draft"]}}
    assert _filter(docs, resource=draft)["kind"] == "never"


@pytest.mark.parametrize("store", STORES)
def test_every_store_can_be_described(docs: httpx.Client, store: str) -> None:
    columns = {"id": "id", "team": {"column": "team", "null": "absent"}, "*": {"json": "data", "path": ["x"]}}
    answer = _filter(docs, backend={"store": store, "columns": columns, **OPTIONS.get(store, {})})
    assert answer["kind"] == "conditional"
    # What asks for nothing finds everything, all of which has to be looked at again.
    assert answer["query"] or answer["rechecked"]


def test_every_backend_of_plain_data_can_be_described() -> None:
    """A new backend joins those that can be asked for by name."""
    takes = {name: getattr(filters, name) for name in filters.__all__ if name.islower()}
    takes = {name: make for name, make in takes.items() if name not in ("sql", "column", "json", "ref")}
    assert set(takes) <= set(STORES)
    assert set(STORES) - set(takes) == {"postgresql", "sqlite", "duckdb", "opensearch"}


def test_queries_of_stores_that_are_described_by_their_properties(docs: httpx.Client) -> None:
    current = {"type": "Doc", "properties": {"tags": [], "due": "2030-01-01T00:00:00Z"}}
    asked = [{"term": {"team": {"value": "a"}}}, {"range": {"level": {"lte": 3}}}]
    for store in ("elasticsearch", "opensearch"):
        answer = _filter(docs, backend={"store": store, "properties": INDEX}, resource=current, exact=True)
        assert answer["query"] == {"bool": {"filter": asked}}
    answer = _filter(docs, backend=WEAVIATE, resource=current)
    assert answer["query"] == {"path": ["level"], "operator": "LessThanEqual", "valueInt": 3}
    assert answer["rechecked"] == ['doc.team == "a"']


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": {"type": "User"}},
        {"resource": {}},
        {"resource": None},
        {"action": {}},
        {"exact": True},
        {"exact": 1, "backend": SQLITE},
        {"fulfils": "redact"},
        {"fulfils": [1]},
        {"backend": None},
        {"backend": "sqlite"},
        {"backend": {}},
        {"backend": {"store": "oracle", "columns": {}}},
        {"backend": {"store": ["sqlite"]}},
        {"backend": {"store": "sqlite"}},
        {"backend": {"store": "sqlite", "columns": []}},
        {"backend": {**SQLITE, "columns": {"id": 5}}},
        {"backend": {**SQLITE, "columns": {"id": ""}}},
        {"backend": {**SQLITE, "columns": {"id": {}}}},
        {"backend": {**SQLITE, "columns": {"id": {"column": "id", "null": "maybe"}}}},
        {"backend": {**SQLITE, "columns": {"id": {"json": "id", "path": "x"}}}},
        {"backend": {**SQLITE, "columns": {"id": {"ref": "id"}}}},
        {"backend": {**SQLITE, "columns": {"id": {"column": "id", "json": "id"}}}},
        {"backend": {**SQLITE, "paramstyle": "shell"}},
        {"backend": {**SQLITE, "table": 5}},
        {"backend": {**SQLITE, "below": ["x"]}},
        {"backend": {"store": "elasticsearch"}},
        {"backend": {"store": "weaviate", "columns": {}}},
        {"backend": {**ELASTIC, "properties": []}},
        {"backend": {**ELASTIC, "properties": {"team": "keyword"}}},
        {"backend": {**ELASTIC, "properties": {"team": {"properties": {"x": 5}}}}},
        {"backend": {**ELASTIC, "null_index": True}},
        {"backend": {**WEAVIATE, "properties": {}}},
        {"backend": {**WEAVIATE, "properties": ["level"]}},
        {"backend": {**WEAVIATE, "properties": [{"name": ["level"], "dataType": ["int"]}]}},
        {"backend": {**WEAVIATE, "properties": [{"name": "level", "dataType": 5}]}},
        {"backend": {**WEAVIATE, "null_index": 1}},
    ],
)
def test_malformed(docs: httpx.Client, wrong: dict[str, Any]) -> None:
    response = docs.post("/v1/filter", json={**ASKED, **wrong})
    assert response.status_code == 400
    assert set(response.json()) == {"type", "title", "status", "detail", "request_id"}


def test_what_json_cannot_carry_is_rechecked() -> None:
    engine = Engine.from_text(POLICIES)
    found = engine.filter(
        principal={"type": "User", "id": "ann", "team": "\ud800", "clearance": 3}, action="read", resource_type="Doc"
    )
    for store in STORES:
        columns = {"id": "id", "team": "team", "level": "level", "due": "due", "tags": {"json": "tags"}}
        query = found.to(store_of({"store": store, "columns": columns, **OPTIONS.get(store, {})}))
        assert json.loads(json.dumps(as_json(query))) == as_json(query)
