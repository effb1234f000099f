"""What Qdrant finds is what `decide` allows: the embedded engine, and the client's engine in memory."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import qdrant_edge as edge
from hypothesis import given
from qdrant_client import QdrantClient, models

from policyengine.filters import Backend, Field, Filter, Kind, NotExpressible, column, json, qdrant, ref
from policyengine.filters.qdrant_edge import edge_filter
from tests.support.examples import half
from tests.support.filter_checks import (
    ALL_DOCUMENTS,
    TYPED_DOCUMENTS,
    UNTYPED_DOCUMENTS,
    Ask,
    Combined,
    Generated,
    check,
    check_corpus,
    combined,
    generated,
)
from tests.support.filter_corpus import ANY_SHAPE, CONDITIONS, PRINCIPAL, engine
from tests.support.filter_tables import REFERENCES, flat_references
from tests.support.many_groups import for_groups, in_many_groups, those_seen

Documents = Sequence[dict[str, Any]]
SCALARS = ("id", "s", "n", "x", "flag", "at", "wait", "addr", "so", "no", "fo")
PROMISED: dict[str, str | Field] = {
    **{name: column(name) for name in (*SCALARS, "tags", "names", "nums", "to")},
    **{name: ref(name, type_) for name, type_ in REFERENCES.items()},
    "rec": json("rec"),
    "data": json("data"),
}


def _filter(condition: str) -> Filter:
    return engine(condition).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


class Embedded:
    def __init__(self, path: Path) -> None:
        vectors = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
        self._shard = edge.EdgeShard.create(str(path), edge.EdgeConfig(vectors=vectors))

    def holding(self, documents: Documents, below: str = "", payloads: Documents | None = None) -> Ask:
        shown = payloads or documents
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=[])))
        if documents:
            points = [edge.Point(i, [1.0], {below: each} if below else each) for i, each in enumerate(shown)]
            self._shard.update(edge.UpdateOperation.upsert_points(points))
        ids = [each["id"] for each in documents]

        def ask(native: Any) -> list[str]:
            asked = edge.ScrollRequest(limit=len(ids) + 1, filter=edge_filter(native), with_payload=False)
            return [ids[int(point.id)] for point in self._shard.scroll(asked)[0]]

        return ask

    def index(self, key: str, schema: Any) -> None:
        self._shard.update(edge.UpdateOperation.create_field_index(key, schema))


def in_memory(documents: Documents, payloads: Documents | None = None) -> Ask:
    client = QdrantClient(":memory:")
    client.create_collection("documents", models.VectorParams(size=1, distance=models.Distance.DOT))
    points = [models.PointStruct(id=i, vector=[1.0], payload=each) for i, each in enumerate(payloads or documents)]
    client.upsert("documents", points)
    ids = [each["id"] for each in documents]

    def ask(native: Any) -> list[str]:
        wanted = models.Filter(**native)
        found, _ = client.scroll("documents", scroll_filter=wanted, limit=len(ids) + 1, with_payload=False)
        return [ids[int(point.id)] for point in found]

    return ask


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return Embedded(tmp_path_factory.mktemp("shard"))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Ask, Backend, Documents]]:
    """What is asked, how, and what it holds."""
    payloads = [flat_references(each) for each in TYPED_DOCUMENTS]
    indexed = Embedded(tmp_path_factory.mktemp("indexed"))
    types, prefix = edge.PayloadSchemaType, edge.KeywordIndexParams(prefix=True)
    for key, schema in {
        "id": types.Keyword, "s": prefix, "n": types.Integer, "x": types.Float, "flag": types.Bool,
        "tags": types.Keyword, "names": prefix, "nums": types.Integer, "at": types.Datetime, "so": types.Keyword,
        "owner": types.Keyword,
    }.items():  # fmt: skip
        indexed.index(key, schema)
    embedded, named = (Embedded(tmp_path_factory.mktemp(name)) for name in ("typed", "named"))
    promised = qdrant(PROMISED)
    return {
        "any": (Embedded(tmp_path_factory.mktemp("any")).holding(ALL_DOCUMENTS), qdrant(), ALL_DOCUMENTS),
        "named": (named.holding(UNTYPED_DOCUMENTS), qdrant(ANY_SHAPE), UNTYPED_DOCUMENTS),
        "old": (in_memory(TYPED_DOCUMENTS), qdrant(patterns=False), TYPED_DOCUMENTS),
        "memory": (in_memory(TYPED_DOCUMENTS, payloads), promised, TYPED_DOCUMENTS),
        "promised": (embedded.holding(TYPED_DOCUMENTS, payloads=payloads), promised, TYPED_DOCUMENTS),
        "indexed": (indexed.holding(TYPED_DOCUMENTS, payloads=payloads), promised, TYPED_DOCUMENTS),
    }


@pytest.mark.corpus
@pytest.mark.parametrize("condition", CONDITIONS)
def test_corpus(stores: dict[str, tuple[Ask, Backend, Documents]], condition: str) -> None:
    for ask, backend, held in stores.values():
        check_corpus(condition, backend, ask, held is not TYPED_DOCUMENTS, list(held))


FEWER = ALL_DOCUMENTS[::7]


@pytest.fixture(scope="module")
def fewer() -> Ask:
    return in_memory(FEWER)


@half
@given(combined)
def test_any_payload_in_memory(fewer: Ask, asked: Combined) -> None:
    check(asked.filter, asked.allowed(FEWER), qdrant(), fewer, FEWER)


@half
@given(combined)
def test_promised_payload(stores: dict[str, tuple[Ask, Backend, Documents]], asked: Combined) -> None:
    ask, backend, _ = stores["promised"]
    check(asked.filter, asked.allowed(TYPED_DOCUMENTS), backend, ask, TYPED_DOCUMENTS)


@half
@given(generated(broken=True))
def test_generated_policies(embedded: Embedded, made: Generated) -> None:
    backend = qdrant(below=["meta data"])
    check(made.filter, made.allowed, backend, embedded.holding(made.documents, "meta data"), made.documents)


def test_an_older_server_is_not_asked_for_patterns() -> None:
    for condition in CONDITIONS:
        native = str(_filter(condition).to(qdrant(patterns=False)).native)
        assert "'prefix'" not in native
        assert "'substring'" not in native


def test_nothing_and_everything(embedded: Embedded) -> None:
    ask = embedded.holding(ALL_DOCUMENTS)
    memory = in_memory(ALL_DOCUMENTS)
    never = _filter("false").to(qdrant())
    always = _filter("true").to(qdrant())
    assert (never.kind, never.exact, ask(never.native), memory(never.native)) == (Kind.NEVER, True, [], [])
    assert (always.kind, always.rechecked) == (Kind.ALWAYS, ("doc is Doc", "no name is misspelt"))
    assert len(always.recheck(ALL_DOCUMENTS)) < len(ask(always.native)) < len(ALL_DOCUMENTS)
    always = _filter("true").to(qdrant(ANY_SHAPE), exact=True)
    assert len(ask(always.native)) == len(memory(always.native)) == len(ALL_DOCUMENTS)


@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_many_groups(embedded: Embedded, count: int) -> None:
    keys = {"allowed": ref("allowed", "Group"), "folder": ref("folder", "Group")}
    query, documents = in_many_groups(count).to(qdrant(keys), exact=True), for_groups(count)
    assert embedded.holding(documents)(query.native) == in_memory(documents)(query.native) == those_seen(count)


HOSTILE_KEYS = ("a.b", "a[0]", "[]", "é", "😀", "'", " ", "a\nb", "5", "", "must_not", "id")


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys(embedded: Embedded, key: str) -> None:
    documents = [{"id": "a", "deep": {key: {key: "a"}}}, {"id": "b", "deep": {key: {key: "b"}}}, {"id": "c", key: "a"}]
    asked = _filter('doc.s == "a"')
    query = asked.to(qdrant({"s": json("deep", key, key)}))
    assert embedded.holding(documents)(query.native) == in_memory(documents)(query.native) == ["a"]


@pytest.mark.parametrize("key", ['a"b', "a\\b", 'x"]. ', "\ud800", "a\0b"])
def test_keys_that_cannot_be_written_are_declined(key: str) -> None:
    asked = _filter('doc.s == "a"')
    query = asked.to(qdrant({"s": key}))
    assert (query.native, query.exact) == ({"must": []}, False)


def test_ids_of_another_type_are_no_such_references(embedded: Embedded) -> None:
    documents = [{"id": "a", "owner": "ann"}, {"id": "b", "owner": "bob"}]
    ask = embedded.holding(documents)
    for condition in ("doc.owner != principal", "doc.owner == principal", 'not (doc.owner in Group::"staff")'):
        query = _filter(condition).to(qdrant({"owner": ref("owner", "Folder")}))
        assert (query.exact, ask(query.native)) == (True, [])


def test_an_exact_query_is_refused_with_the_condition() -> None:
    asked = _filter("size(doc.s) > 2")
    with pytest.raises(NotExpressible) as refused:
        asked.to(qdrant(ANY_SHAPE), exact=True)
    (diagnostic,) = refused.value.diagnostics
    assert diagnostic.span.text == "size(doc.s) > 2"


def test_the_example_of_the_docstring() -> None:
    assert doctest.testmod(import_module("policyengine.filters.qdrant")).failed == 0
