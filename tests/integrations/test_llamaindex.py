"""LlamaIndex: what its stores are asked for is never too little, and what comes out is never too much."""

from __future__ import annotations

import asyncio
import doctest
from collections.abc import Iterator
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from llama_index.core import VectorStoreIndex
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.schema import IndexNode, NodeWithScore, QueryBundle, TextNode
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from structlog.testing import capture_logs

from policyengine import Engine
from policyengine.filters import Filter, Kind, NotExpressible, column, ref
from policyengine.integrations.llamaindex import PermittedNodes, PermittedRetriever, metadata_filters
from tests.integrations.vectors import ANN, DOCUMENTS, GUS, NOBODY, found, vector
from tests.support.filter_checks import TYPED_DOCUMENTS, check, check_corpus, combined
from tests.support.filter_corpus import CONDITIONS
from tests.support.filter_tables import REFERENCES, flat_references

ALL_OPERATORS = (
    FilterOperator.LT, FilterOperator.LTE, FilterOperator.GT, FilterOperator.GTE, FilterOperator.ANY, FilterOperator.ALL
)  # fmt: skip
NAMES = ("id", "s", "n", "x", "flag", "tags", "names", "nums", "so", "no", "fo", "to")
KEYS = {name: column(name) for name in NAMES} | {name: ref(name, type_) for name, type_ in REFERENCES.items()}
BACKENDS = [
    metadata_filters(KEYS),
    metadata_filters(KEYS, also=ALL_OPERATORS),
    metadata_filters(KEYS, also=ALL_OPERATORS, nested=True),
]

user: ContextVar[dict[str, Any]] = ContextVar("user")


# ---- what a store is asked for ----


@pytest.fixture(scope="module")
def corpus() -> SimpleVectorStore:
    store = SimpleVectorStore()
    store.add([
        TextNode(id_=each["id"], embedding=[1.0, 0.0], metadata=flat_references(each)) for each in TYPED_DOCUMENTS
    ])  # fmt: skip
    return store


def ask(store: SimpleVectorStore, filters: MetadataFilters | None) -> list[str]:
    """The ids. This store takes no filters in filters, so these are asked for one by one."""
    nested = [] if filters is None else [each for each in filters.filters if isinstance(each, MetadataFilters)]
    if filters is None or not nested:
        query = VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=10**6, filters=filters)
        return list(store.query(query).ids or ())
    plain = [each for each in filters.filters if isinstance(each, MetadataFilter)]
    parts = [set(ask(store, each)) for each in nested]
    if plain:
        parts.append(set(ask(store, MetadataFilters(filters=[*plain], condition=filters.condition))))
    return sorted(set.intersection(*parts) if filters.condition == FilterCondition.AND else set.union(*parts))


@pytest.mark.parametrize("condition", CONDITIONS)
def test_corpus(corpus: SimpleVectorStore, condition: str) -> None:
    for backend in BACKENDS:
        check_corpus(condition, backend, lambda native: ask(corpus, native))


@pytest.mark.parametrize("backend", BACKENDS, ids=["usual", "more", "nested"])
@given(policies=combined)
def test_combined(corpus: SimpleVectorStore, backend: Any, policies: Any) -> None:
    expected = policies.allowed(TYPED_DOCUMENTS)
    check(policies.filter, expected, backend, lambda native: ask(corpus, native), TYPED_DOCUMENTS)


def test_something_is_asked_for() -> None:
    """A backend that asks for everything would be right, too."""
    query = found(ANN).to(metadata_filters({"tenant": "tenant", "classification": "level"}, also=ALL_OPERATORS))
    assert not query.exact
    level = MetadataFilter(key="level", value=2, operator=FilterOperator.LTE)
    assert query.native == MetadataFilters(filters=[eq("tenant", "acme"), level])
    with pytest.raises(NotExpressible):
        found(ANN).to(metadata_filters({"tenant": "tenant"}), exact=True)


def _asked(condition: str, **options: Any) -> Any:
    engine = Engine.from_text(f"""
    entity User {{}}
    entity Doc {{ team: String, level: Int, tags: Set<String>, owner: User }}
    action read on Doc for User
    permit some: read on Doc when {condition}
    """)
    given_ = engine.filter(principal={"type": "User", "id": "ann"}, action="read", resource_type="Doc")
    keys = {"team": "team", "level": "level", "tags": "tags", "owner": ref("owner_id", "User")}
    return given_.to(metadata_filters(keys, **options)).native


def eq(key: str, value: Any) -> MetadataFilter:
    return MetadataFilter(key=key, value=value)


def test_alternatives() -> None:
    either = 'doc.team == "a" and doc.level == 1 or doc.team == "b" and doc.level == 1 and doc.owner == principal'
    among = MetadataFilter(key="team", value=["a", "b"], operator=FilterOperator.IN)
    assert _asked(either) == MetadataFilters(filters=[eq("level", 1), among])
    flat = MetadataFilters(filters=[eq("team", "a"), eq("level", 1)], condition=FilterCondition.OR)
    assert _asked('doc.team == "a" or doc.level == 1') == flat
    assert _asked('doc.team == "a" or not (doc.level == 1)', nested=True) is None
    assert _asked('doc.team == "a" and doc.level == 1 or doc.level > 5') is None
    nested = _asked('(doc.team == "a" or doc.level == 1) and doc.owner == principal', nested=True)
    assert flat in nested.filters
    assert eq("owner_id", "ann") in nested.filters


@pytest.mark.parametrize("text", ["o'hara", 'a"b', "a\\\\b", "a;b", "x') OR 1=1 --", "a:b", "a%", "`", "{}", "x" * 201])
def test_texts_that_a_store_could_misread(text: str) -> None:
    written = text.replace('"', '\\"')
    assert _asked(f'doc.team == "{written}"') is None
    assert _asked(f'doc.team in ["fine", "{written}"]') is None


def test_nothing_and_everything(corpus: SimpleVectorStore) -> None:
    for backend in BACKENDS:
        never = found(NOBODY).to(backend)
        assert never.kind is Kind.NEVER
        assert ask(corpus, never.native) == []
    assert _asked("true") is None
    assert _asked("true", nested=True) is None


def test_example() -> None:
    ran = doctest.testmod(import_module("policyengine.integrations.llamaindex_filters"))
    assert ran.attempted > 0
    assert ran.failed == 0


# ---- what comes out ----


class Words(BaseEmbedding):
    def _get_text_embedding(self, text: str) -> list[float]:
        return vector(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return vector(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return vector(query)


@pytest.fixture(scope="module")
def index() -> VectorStoreIndex:
    nodes = [
        TextNode(text=text, metadata=metadata, excluded_embed_metadata_keys=[*metadata]) for text, metadata in DOCUMENTS
    ]
    return VectorStoreIndex(nodes=nodes, embed_model=Words())


@pytest.fixture(params=["looked at only", "asked first"])
def retriever(request: pytest.FixtureRequest, index: VectorStoreIndex) -> PermittedRetriever:
    backend = metadata_filters({"tenant": "tenant"}) if request.param == "asked first" else None
    return around(index, backend=backend, k=2)


@pytest.fixture(autouse=True)
def nobody() -> Iterator[None]:
    token = user.set(NOBODY)
    yield
    user.reset(token)


def may_see() -> Filter:
    return found(user.get())


def around(index: VectorStoreIndex, **options: Any) -> PermittedRetriever:
    return PermittedRetriever(
        lambda n, filters: index.as_retriever(similarity_top_k=n, filters=filters), may_see, **options
    )


def texts(nodes: list[NodeWithScore]) -> list[str]:
    return [each.node.get_content() for each in nodes]


SEEN = [(ANN, ["prices of small pumps", "old prices"]), (GUS, ["prices of large pumps"]), (NOBODY, [])]


@pytest.mark.parametrize(("who", "seen"), SEEN, ids=["ann", "gus", "nobody"])
def test_only_what_may_be_seen(retriever: PermittedRetriever, who: dict[str, Any], seen: list[str]) -> None:
    user.set(who)
    assert texts(retriever.retrieve("prices of pumps")) == seen
    assert texts(asyncio.run(retriever.aretrieve("prices of pumps"))) == seen
    got = retriever.search(QueryBundle("prices of pumps"))
    assert got.complete
    assert got == asyncio.run(retriever.asearch("prices of pumps"))


def test_callers_at_the_same_time(retriever: PermittedRetriever) -> None:
    async def one(who: dict[str, Any]) -> list[str]:
        user.set(who)
        await asyncio.sleep(0)
        return texts(await retriever.aretrieve("prices of pumps"))

    async def every() -> list[list[str]]:
        return await asyncio.gather(*[one(who) for who, _ in SEEN * 5])

    assert asyncio.run(every()) == [seen for _, seen in SEEN * 5]


def test_the_limit_is_said(index: VectorStoreIndex) -> None:
    user.set(ANN)
    with capture_logs() as logs:
        assert around(index, k=1, limit=1).retrieve("prices of large pumps") == []
    assert [(each["event"], each["limit"]) for each in logs] == [("retrieval_incomplete", 1)]


def test_whoever_fails_to_say_who_asks_gets_nothing(index: VectorStoreIndex) -> None:
    unknown: ContextVar[Any] = ContextVar("unknown")
    asking = PermittedRetriever(lambda n, filters: index.as_retriever(similarity_top_k=n), lambda: found(unknown.get()))
    with pytest.raises(LookupError):
        asking.retrieve("prices")


class Fixed(BaseRetriever):
    """A retriever of the same nodes whatever is asked, as many as there are."""

    def __init__(self, nodes: list[Any]) -> None:
        super().__init__()
        self._nodes = nodes

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=each, score=1.0) for each in self._nodes]


def test_an_index_node_brings_in_nothing_unseen() -> None:
    """An index node that may be seen stands for a node that may not, and this for another."""
    own, other = DOCUMENTS[1][1], DOCUMENTS[0][1]
    hidden = TextNode(text="hidden", metadata=other)
    once = IndexNode(text="once", index_id="1", obj=hidden, metadata=own)
    twice = IndexNode(
        text="twice", index_id="2", obj=IndexNode(text="", index_id="1", obj=hidden, metadata=own), metadata=own
    )
    user.set(ANN)
    asked = PermittedRetriever(lambda n, filters: Fixed([once, twice]), may_see)
    for nodes in (asked.retrieve("x"), asyncio.run(asked.aretrieve("x"))):
        assert "hidden" not in texts(nodes)


def test_postprocessor(index: VectorStoreIndex) -> None:
    nodes = index.as_retriever(similarity_top_k=20).retrieve("prices of pumps")
    post = PermittedNodes(filter_for=may_see)
    assert post.postprocess_nodes(nodes) == []
    user.set(ANN)
    kept = post.postprocess_nodes(nodes)
    assert texts(kept) == ["prices of small pumps", "old prices", "lunch"]
    assert asyncio.run(post.apostprocess_nodes(nodes)) == kept
    assert post.postprocess_nodes([]) == []
    by_reference = PermittedNodes(
        filter_for=may_see, document_of=lambda hit: {**hit.node.metadata, "id": hit.node.ref_doc_id}
    )
    assert by_reference.postprocess_nodes(nodes) == [], "these nodes are of no stored document"
