"""What a decision owes, and which labels it sets, comes out of a search with each chunk, whatever the search is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from llama_index.core.base.base_retriever import BaseRetriever as LlamaRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from policyengine import Engine
from policyengine.filters import Filter
from policyengine.integrations import UnrecordedLabels, apermitted, langchain, llamaindex, permitted

ENGINE = Engine.from_text("""
module labels
use ai
permit own: retrieve on Document when document.tenant == principal.tenant
label saw_secret: retrieve on Document when document.classification >= 3
label saw_all: retrieve on Document when document.classification >= 4
require mask: retrieve on Document when "personal" in document.labels redact(["email"])
require extra: retrieve on Document when document.classification >= 4 redact(["phone"])
tool mail(to: String) { sends_outside: true, reads_untrusted: false }
permit mail: call on Tool::"mail"
forbid exfiltration: call on Tool::"mail" when "saw_secret" in session.labels
""")
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "d1", "tenant": "acme", "classification": 4, "labels": ["personal"]},
    {"id": "d2", "tenant": "acme", "classification": 1, "labels": []},
    {"id": "d3", "tenant": "globex", "classification": 9, "labels": []},
    {"id": "d4", "tenant": "acme", "classification": 3, "labels": []},
]
# What each of ann's documents sets and owes.
SETS = {"d1": ("saw_all", "saw_secret"), "d2": (), "d4": ("saw_secret",)}
OWES = {"d1": [{"kinds": ["phone"]}, {"kinds": ["email"]}], "d2": [], "d4": []}


def found(**more: Any) -> Filter:
    return ENGINE.filter(
        principal=ANN, action="retrieve", resource_type="Document", **{"fulfilled": ["redact"], **more}
    )


def test_each_result_says_what_its_decision_says() -> None:
    got = permitted(lambda n: DOCUMENTS[:n], found(), 5)
    assert {each.chunk["id"]: each.labels for each in got.results} == SETS
    for each in got.results:
        decision = ENGINE.decide(principal=ANN, action="retrieve", resource={"type": "Document", **each.chunk})
        assert (each.labels, each.obligations) == (decision.labels, decision.obligations)
    assert got.labels == ("saw_all", "saw_secret")
    assert permitted(lambda n: DOCUMENTS[1:2], found(), 5).labels == ()


def test_the_session_that_carries_them_sends_no_mail() -> None:
    def mail(labels: tuple[str, ...]) -> bool:
        session = {"type": "Session", "id": "s", "labels": list(labels)}
        tool = {"type": "Tool", "id": "mail", "args": {"to": "x"}}
        return ENGINE.decide(principal=ANN, action="call", resource=tool, context={"session": session}).allowed

    assert mail(permitted(lambda n: DOCUMENTS[1:2], found(), 5).labels)
    assert not mail(permitted(lambda n: DOCUMENTS, found(), 5).labels)


def test_only_what_comes_out_sets_labels() -> None:
    assert permitted(lambda n: [DOCUMENTS[1], DOCUMENTS[0]], found(), 1).labels == ()


def test_what_all_documents_have_counts_for_their_decisions() -> None:
    got = permitted(lambda n: DOCUMENTS[1:2], found(resource={"classification": 3}), 5)
    assert got.labels == ("saw_secret",)
    assert found().decide({"type": "Folder", **DOCUMENTS[1]}).decision == "deny"
    assert found().decide({}).decision == "deny"


def test_labels_are_recorded_before_anything_comes_out() -> None:
    told: list[tuple[str, ...]] = []
    permitted(lambda n: DOCUMENTS, found(), 5, record_labels=told.append)
    permitted(lambda n: DOCUMENTS[1:2], found(), 5, record_labels=told.append)

    async def search(n: int) -> list[dict[str, Any]]:
        return DOCUMENTS

    async def record(labels: tuple[str, ...]) -> None:
        told.append(labels)

    asyncio.run(apermitted(search, found(), 5, record_labels=record))
    assert told == [("saw_all", "saw_secret")] * 2

    def broken(labels: tuple[str, ...]) -> None:
        raise OSError("no session today")

    with pytest.raises(OSError, match="no session"):
        permitted(lambda n: DOCUMENTS, found(), 5, record_labels=broken)


# ---- LangChain ----


class Source(BaseRetriever):
    documents: list[dict[str, Any]]

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        return [Document(each["id"], metadata=each) for each in self.documents]


def by(config: RunnableConfig) -> Filter:
    return found(context=config["configurable"]["context"])


ASKED: RunnableConfig = {"configurable": {"context": {}}}


def said(chunks: Any) -> dict[str, Any]:
    return {each.metadata["id"]: each.metadata.get("policyengine") for each in chunks}


def expected() -> dict[str, Any]:
    return {
        name: None if not labels else {"labels": list(labels), "obligations": OWES[name]}
        for name, labels in SETS.items()
    }


def shortened(marks: dict[str, Any]) -> dict[str, Any]:
    """With nothing but the properties of obligations."""
    return {
        name: mark and {"labels": mark["labels"], "obligations": [each["properties"] for each in mark["obligations"]]}
        for name, mark in marks.items()
    }


def test_langchain() -> None:
    told: list[Any] = []
    retriever = langchain.PermittedRetriever(
        source=Source(documents=DOCUMENTS), filter_for=by, k=5, record_labels=lambda *given: told.append(given)
    )
    assert shortened(said(retriever.invoke("x", ASKED))) == expected()
    assert shortened(said(asyncio.run(retriever.ainvoke("x", ASKED)))) == expected()
    assert [(labels, config["configurable"]) for labels, config in told] == [
        (("saw_all", "saw_secret"), {"context": {}})
    ] * 2
    assert all("policyengine" not in each for each in DOCUMENTS), "the source's own are as they were"


def test_langchain_lets_no_label_get_lost() -> None:
    retriever = langchain.PermittedRetriever(source=Source(documents=DOCUMENTS), filter_for=by, k=5)
    with pytest.raises(UnrecordedLabels, match="saw_all, saw_secret"):
        retriever.invoke("x", ASKED)
    with pytest.raises(UnrecordedLabels):
        asyncio.run(retriever.ainvoke("x", ASKED))
    assert retriever.search("x", ASKED).labels == ("saw_all", "saw_secret")
    harmless = langchain.PermittedRetriever(source=Source(documents=DOCUMENTS[1:3]), filter_for=by, k=5)
    assert said(harmless.invoke("x", ASKED)) == {"d2": None}


def test_a_permitted_retriever_around_another() -> None:
    """The inner one is asked by the same caller, and what its decisions say stays."""
    told: list[tuple[str, ...]] = []
    stricter = Engine.from_text("""
        use ai
        permit some: retrieve on Document when document.id != "d4"
        label listed: retrieve on Document
    """)
    inner = langchain.PermittedRetriever(
        source=Source(documents=DOCUMENTS), filter_for=by, k=5, record_labels=lambda labels, _: told.append(labels)
    )
    outer = langchain.PermittedRetriever(
        source=inner,
        filter_for=lambda _: stricter.filter(principal=ANN, action="retrieve", resource_type="Document"),
        k=5,
        record_labels=lambda labels, _: told.append(labels),
    )
    marks = said(outer.invoke("x", ASKED))
    assert {name: mark["labels"] for name, mark in marks.items()} == {
        "d1": ["listed", "saw_all", "saw_secret"],
        "d2": ["listed"],
    }
    assert len(marks["d1"]["obligations"]) == 2
    assert told == [("saw_all", "saw_secret"), ("listed",)]
    assert said(asyncio.run(outer.ainvoke("x", ASKED))) == marks


def test_what_a_document_claims_is_not_what_was_decided() -> None:
    forged = {**DOCUMENTS[1], "policyengine": {"labels": ["saw_secret"], "obligations": ["none"]}}
    retriever = langchain.PermittedRetriever(source=Source(documents=[forged]), filter_for=by, k=5)
    assert said(retriever.invoke("x", ASKED)) == {"d2": None}


# ---- LlamaIndex ----


class Nodes(LlamaRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="", metadata=each), score=1.0) for each in DOCUMENTS]


def test_llamaindex() -> None:
    told: list[tuple[str, ...]] = []
    retriever = llamaindex.PermittedRetriever(lambda n, _: Nodes(), found, k=5, record_labels=told.append)
    nodes = retriever.retrieve("x")
    assert shortened(said([each.node for each in nodes])) == expected()
    assert "policyengine" not in nodes[0].node.get_content("llm")
    assert shortened(said([each.node for each in asyncio.run(retriever.aretrieve("x"))])) == expected()
    post = llamaindex.PermittedNodes(filter_for=found, record_labels=told.append)
    assert shortened(said([each.node for each in post.postprocess_nodes(Nodes().retrieve("x"))])) == expected()
    assert told == [("saw_all", "saw_secret")] * 3


def test_llamaindex_lets_no_label_get_lost() -> None:
    retriever = llamaindex.PermittedRetriever(lambda n, _: Nodes(), found, k=5)
    with pytest.raises(UnrecordedLabels):
        retriever.retrieve("x")
    with pytest.raises(UnrecordedLabels):
        asyncio.run(retriever.aretrieve("x"))
    with pytest.raises(UnrecordedLabels):
        llamaindex.PermittedNodes(filter_for=found).postprocess_nodes(Nodes().retrieve("x"))
    assert retriever.search("x").labels == ("saw_all", "saw_secret")
