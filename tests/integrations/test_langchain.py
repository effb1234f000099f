"""LangChain: whatever the retriever is put around, and however it is called, only what may be seen comes out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, RunnablePassthrough
from langchain_core.vectorstores import InMemoryVectorStore
from qdrant_client import QdrantClient, models
from structlog.testing import capture_logs

from policyengine.filters import Filter, column, qdrant
from policyengine.integrations import attributes
from policyengine.integrations.langchain import PermittedRetriever
from tests.integrations.vectors import ANN, DOCUMENTS, GUS, NOBODY, SIZE, found, vector

SEEN_BY_ANN = {"prices of small pumps", "old prices", "lunch"}
ALL = [Document(text, metadata=metadata) for text, metadata in DOCUMENTS]


class Words(Embeddings):
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return list(map(vector, texts))

    def embed_query(self, text: str) -> list[float]:
        return vector(text)


def filter_for(config: RunnableConfig) -> Filter:
    return found(config["configurable"]["user"])


def by(user: dict[str, Any]) -> RunnableConfig:
    return {"configurable": {"user": user}}


def texts(documents: list[Document]) -> list[str]:
    return [each.page_content for each in documents]


def asks_first(given: Filter) -> dict[str, Any]:
    """This store takes a function as its filter."""
    of = attributes(under=["metadata"])
    return {"filter": lambda document: given.matches(of(document))}


@pytest.fixture(scope="module")
def store() -> InMemoryVectorStore:
    made = InMemoryVectorStore(Words())
    made.add_documents(ALL)
    return made


@pytest.fixture(params=["looked at only", "asked first", "another retriever", "another retriever, asked first"])
def retriever(request: pytest.FixtureRequest, store: InMemoryVectorStore) -> PermittedRetriever:
    options: dict[str, Any] = {"arguments": asks_first} if "first" in request.param else {}
    source = store.as_retriever() if "another" in request.param else store
    return PermittedRetriever(source=source, filter_for=filter_for, k=2, **options)


def test_only_what_may_be_seen(retriever: PermittedRetriever) -> None:
    assert texts(retriever.invoke("prices of pumps", by(ANN))) == ["prices of small pumps", "old prices"]
    assert texts(retriever.invoke("prices of pumps", by(GUS))) == ["prices of large pumps"]
    assert retriever.invoke("prices of pumps", by(NOBODY)) == []


def test_awaited(retriever: PermittedRetriever) -> None:
    async def all_at_once() -> list[list[Document]]:
        return await asyncio.gather(*[retriever.ainvoke("prices", by(user)) for user in (ANN, GUS, NOBODY) * 5])

    got = list(map(texts, asyncio.run(all_at_once())))
    assert got[:3] * 5 == got
    assert set(got[0]) < SEEN_BY_ANN
    assert got[1:3] == [["prices of large pumps"], []]


def test_many_callers_in_threads(retriever: PermittedRetriever) -> None:
    users = [ANN, GUS, NOBODY] * 5
    got = retriever.batch(["prices"] * len(users), [by(user) for user in users])
    assert [len(each) for each in got] == [2, 1, 0] * 5
    assert {text for each in got[::3] for text in texts(each)} < SEEN_BY_ANN


def test_inside_a_chain(retriever: PermittedRetriever) -> None:
    chain = RunnablePassthrough() | retriever | texts
    assert chain.invoke("prices of pumps", by(ANN)) == ["prices of small pumps", "old prices"]
    assert asyncio.run(chain.ainvoke("prices of pumps", by(GUS))) == ["prices of large pumps"]
    assert chain.invoke("prices of pumps", by(NOBODY)) == []


def test_nobody_asks(retriever: PermittedRetriever) -> None:
    with pytest.raises(KeyError):
        retriever.invoke("prices")
    with pytest.raises(KeyError):
        asyncio.run(retriever.ainvoke("prices"))


def test_more_than_there_are(store: InMemoryVectorStore) -> None:
    every = PermittedRetriever(source=store, filter_for=filter_for, k=9)
    got = every.search("prices of pumps", by(ANN))
    assert set(texts(got.chunks)) == SEEN_BY_ANN
    assert got.complete
    assert got == asyncio.run(every.asearch("prices of pumps", by(ANN)))


def test_the_limit_is_said(store: InMemoryVectorStore) -> None:
    short = PermittedRetriever(source=store, filter_for=filter_for, k=1, limit=2)
    with capture_logs() as logs:
        assert short.invoke("prices of large pumps", by(ANN)) == []
    assert [(each["event"], each["log_level"], each["limit"]) for each in logs] == [
        ("retrieval_incomplete", "warning", 2)
    ]
    with capture_logs() as logs:
        assert short.invoke("prices", by(NOBODY)) == []
    assert [(each["event"], each["log_level"]) for each in logs] == [("retrieval_not_possible", "warning")]
    assert not short.search("prices of large pumps", by(ANN)).complete


class Fixed(BaseRetriever):
    """A retriever that takes nothing but the question."""

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return ALL[:3]


def test_around_a_retriever_without_arguments() -> None:
    fixed = PermittedRetriever(source=Fixed(), filter_for=filter_for)
    assert texts(fixed.invoke("prices", by(ANN))) == ["prices of small pumps"]
    assert texts(asyncio.run(fixed.ainvoke("prices", by(ANN)))) == ["prices of small pumps"]


def test_what_cannot_be_read_is_said(store: InMemoryVectorStore) -> None:
    elsewhere = PermittedRetriever(source=store, filter_for=filter_for, document_of=attributes(under=["other"]), k=9)
    with capture_logs() as logs:
        assert elsewhere.invoke("prices", by(ANN)) == []
    assert [(each["event"], each["chunks"]) for each in logs] == [("retrieval_unreadable", len(ALL))]


def test_what_is_owed_may_be_promised(store: InMemoryVectorStore) -> None:
    promised = PermittedRetriever(source=store, filter_for=lambda _: found(ANN, fulfilled=("redact",)), k=9)
    assert set(texts(promised.invoke("prices"))) == SEEN_BY_ANN | {"prices of used pumps"}


def test_a_filter_of_the_retriever_itself_is_not_lost(store: InMemoryVectorStore) -> None:
    own = store.as_retriever(search_kwargs={"filter": lambda document: "pumps" in document.page_content})
    with pytest.raises(ValueError, match="would replace: filter"):
        PermittedRetriever(source=own, filter_for=filter_for, arguments=asks_first).invoke("prices", by(ANN))
    kept = PermittedRetriever(source=own, filter_for=filter_for, k=9)
    assert texts(kept.invoke("prices", by(ANN))) == ["prices of small pumps"]


class Watching(BaseCallbackHandler):
    def __init__(self) -> None:
        self.shown: list[str] = []

    def on_retriever_end(self, documents: Any, **kwargs: Any) -> None:
        self.shown += texts(documents)


def test_who_watches_the_run_sees_no_more(retriever: PermittedRetriever) -> None:
    watching = Watching()
    config: RunnableConfig = {**by(ANN), "callbacks": [watching]}
    chain = RunnablePassthrough() | retriever | texts
    assert sorted(chain.invoke("prices", config)) == sorted(watching.shown)
    assert set(watching.shown) < SEEN_BY_ANN


class Points(InMemoryVectorStore):
    """Qdrant, as far as a vector store of LangChain needs it."""

    def __init__(self) -> None:
        super().__init__(Words())
        self.client = QdrantClient(":memory:")
        self.client.create_collection("docs", models.VectorParams(size=SIZE, distance=models.Distance.COSINE))
        self.returned: list[Any] = []

    def add(self, documents: list[Document]) -> None:
        points = [
            models.PointStruct(
                id=number,
                vector=vector(each.page_content),
                payload={"text": each.page_content, "metadata": each.metadata},
            )
            for number, each in enumerate(documents)
        ]
        self.client.upsert("docs", points)

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        given = models.Filter(**kwargs["filter"])
        hits = self.client.query_points("docs", query=vector(query), query_filter=given, limit=k).points
        self.returned += [hit.payload["metadata"].get("tenant") for hit in hits if hit.payload]
        return [Document(hit.payload["text"], metadata=hit.payload["metadata"]) for hit in hits if hit.payload]


def test_a_store_that_is_asked_in_its_own_terms() -> None:
    points = Points()
    points.add(ALL)
    keys = {"tenant": column("tenant"), "classification": column("classification"), "labels": column("labels")}
    backend = qdrant(keys, below=["metadata"])
    asked = PermittedRetriever(source=points, filter_for=filter_for, backend=backend, k=2)
    assert texts(asked.invoke("prices of pumps", by(ANN))) == ["prices of small pumps", "old prices"]
    assert set(points.returned) == {"acme"}, "the others did not leave the store"
    points.returned.clear()
    assert asked.invoke("prices of pumps", by(NOBODY)) == []
    assert points.returned == []
