"""`filter`: what is left of the policies, the query for a store, and documents on standard input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine.cli.filter import complete_store
from policyengine.filters.descriptions import STORES
from tests.cli.conftest import ANN, Cli, retrieve

WORDS = ("--principal", json.dumps(ANN), "--action", "retrieve", "--resource-type", "Document")


def lines(*documents: dict[str, Any]) -> str:
    return "".join(json.dumps(each) + "\n" for each in documents)


def test_it_prints_what_is_left(policies: Path, cli: Cli) -> None:
    assert cli("filter", policies, *WORDS) == 0
    assert cli.out.startswith("# CONDITIONAL: it depends on the Document\n")
    assert 'document.tenant == "acme" and document.classification <= 2' in cli.out
    assert "permit refund" not in cli.out
    assert cli.err == ""


def test_json(policies: Path, cli: Cli) -> None:
    assert cli("filter", policies, *WORDS, "--json") == 0
    assert set(json.loads(cli.out)) == {"kind", "residual", "revision"}


def test_nothing_may_be_seen_is_3(policies: Path, cli: Cli) -> None:
    words = ("--principal", json.dumps(ANN), "--resource-type", "Tool")
    assert cli("filter", policies, *words, "--action", "retrieve") == 3
    assert cli.out.startswith("# NEVER")
    assert "nothing may be seen" in cli.err
    assert cli("filter", policies, *words, "--action", "fly") == 3
    assert cli("filter", policies, *words, "--action", "fly", "--to", "sqlite") == 3


@pytest.mark.parametrize("store", ["sql:postgresql", "sql:sqlite", "duckdb", "qdrant", "mongodb", "chroma", "pinecone"])
def test_a_query(policies: Path, cli: Cli, store: str) -> None:
    assert cli("filter", policies, *WORDS, "--to", store, "--json") == 0
    answer = json.loads(cli.out)
    assert answer["kind"] == "conditional"
    assert answer["exact"] is (not answer["rechecked"])
    assert cli("filter", policies, *WORDS, "--to", store) == 0
    assert json.loads(cli.out) == answer["query"]
    assert bool(cli.err) is bool(answer["rechecked"])


READERS = {"ref": "readers", "type": "User"}
COLUMNS = {"tenant": "tenant", "classification": "classification", "readers": READERS}
INDEX = {"tenant": {"type": "keyword"}, "classification": {"type": "long"}, "readers": {"type": "keyword"}}
COLLECTION = [
    {"name": "classification", "dataType": ["int"]},
    {"name": "readers", "dataType": ["text[]"], "tokenization": "field"},
]


def test_a_store_that_is_described(policies: Path, cli: Cli, tmp_path: Path) -> None:
    opensearch = {"store": "opensearch", "properties": INDEX, "columns": COLUMNS}
    assert cli("filter", policies, *WORDS, "--to", json.dumps(opensearch)) == 0
    own = [{"term": {"tenant": {"value": "acme"}}}, {"range": {"classification": {"lte": 2}}}]
    shared = {"term": {"readers": {"value": "ann"}}}
    assert json.loads(cli.out) == {"bool": {"should": [shared, {"bool": {"filter": own}}], "minimum_should_match": 1}}
    weaviate = tmp_path / "store.json"
    weaviate.write_text(json.dumps({"store": "weaviate", "properties": COLLECTION}), encoding="utf-8")
    assert cli("filter", policies, *WORDS, "--to", weaviate, "--columns", json.dumps(COLUMNS)) == 0
    low = {"path": ["classification"], "operator": "LessThanEqual", "valueInt": 2}
    assert low in json.loads(cli.out)["operands"]
    assert "document.tenant" in cli.err


def test_without_columns_an_attribute_is_where_its_name_says(policies: Path, cli: Cli) -> None:
    assert cli("filter", policies, *WORDS, "--to", "mongodb") == 0
    assert '"tenant": {' in cli.out
    assert cli("filter", policies, *WORDS, "--to", "sqlite") == 0
    assert "`data`" in cli.out


def test_stores_are_completed() -> None:
    assert complete_store("") == list(STORES)
    assert complete_store("w") == ["weaviate"]
    assert complete_store("elastic") == ["elasticsearch"]


def test_columns_and_exactness(policies: Path, cli: Cli, tmp_path: Path) -> None:
    columns = tmp_path / "columns.json"
    places = {"id": "id", "tenant": "tenant_id", "classification": "level", "readers": {"json": "readers"}}
    columns.write_text(json.dumps(places), encoding="utf-8")
    assert cli("filter", policies, *WORDS, "--to", "sqlite", "--columns", columns) == 0
    assert "tenant_id" in cli.out
    assert "document.labels" in cli.err
    assert cli("filter", policies, *WORDS, "--to", "sqlite", "--columns", columns, "--exact") == 2
    assert "cannot express exactly" in cli.err
    assert cli.out == ""


def test_documents(policies: Path, cli: Cli) -> None:
    kept, other = retrieve()["resource"], retrieve(tenant="other")["resource"]
    held = retrieve(labels=["legal_hold"])["resource"]
    text = lines(kept, other, held, {}, {"id": "x"}) + "\n" + json.dumps({**kept, "id": "d9"})
    assert cli("filter", policies, *WORDS, "--documents", "-", stdin=text) == 0
    assert [json.loads(line) for line in cli.out.splitlines()] == [kept, {**kept, "id": "d9"}]


@pytest.mark.parametrize("text", ["{", "[]", '{"id": "d1"}\n5\n', '{"id": "a", "id": "b"}', "\xff"])
def test_documents_that_are_none(policies: Path, cli: Cli, tmp_path: Path, text: str) -> None:
    path = tmp_path / "docs.jsonl"
    path.write_bytes(text.encode("latin-1"))
    assert cli("filter", policies, *WORDS, "--documents", path) == 2
    assert "line" in cli.err


def test_obligations_that_are_fulfilled(policies: Path, cli: Cli) -> None:
    words = ("--principal", json.dumps(ANN), "--action", "release", "--resource-type", "Output")
    assert cli("filter", policies, *words) == 3
    assert cli("filter", policies, *words, "--fulfils", "redact") == 0
    assert cli.out.startswith("# ALWAYS")


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--principal", "{}", "--action", "retrieve", "--resource-type", "Document"),
        ("--principal", "{", "--action", "retrieve", "--resource-type", "Document"),
        ("--principal", "/none.json", "--action", "retrieve", "--resource-type", "Document"),
        (*WORDS, "--context", "[]"),
        (*WORDS, "--to", "oracle"),
        (*WORDS, "--to", "sqlite", "--columns", '{"id": 5}'),
        (*WORDS, "--to", "elasticsearch"),
        (*WORDS, "--to", "none.json"),
        (*WORDS, "--to", "{"),
        (*WORDS, "--to", '{"store": "oracle"}'),
        (*WORDS, "--to", '{"store": "sqlite", "columns": {}}', "--columns", "{}"),
        (*WORDS, "--exact"),
        (*WORDS, "--columns", "{}"),
        (*WORDS, "--to", "sqlite", "--documents", "-"),
        (*WORDS, "--documents", "/none.jsonl"),
    ],
)
def test_wrong_usage_is_2(policies: Path, cli: Cli, words: tuple[str, ...]) -> None:
    assert cli("filter", policies, *words) == 2
    assert cli.out == ""


def test_invalid_policies_are_1(cli: Cli, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pol"
    bad.write_text("permit", encoding="utf-8")
    assert cli("filter", bad, *WORDS) == 1
