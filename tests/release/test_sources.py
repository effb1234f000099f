"""From retrieval to release: what was let through is what `output.sources` holds, and it is held to what it owes."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.documents import Document as Chunk
from langchain_core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, TextNode

from policyengine import Engine, guard
from policyengine.integrations import permitted
from policyengine.integrations.langchain import PermittedRetriever
from policyengine.integrations.llamaindex import PermittedNodes
from policyengine.release.sources import Sources

RULES = """
module answers
use ai
permit own: retrieve on Document for User when document.tenant == principal.tenant
require clean: retrieve on Document when "personal" in document.labels redact(["email"])
label drew: retrieve on Document when "personal" in document.labels
permit answer: release on Output for User
forbid above: release on Output for User
  when any source in output.sources: source.classification > 2
"""
ENGINE = Engine.from_text(RULES)
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
DOCUMENTS = [
    {"id": "d1", "tenant": "acme", "labels": ["personal"], "classification": 1},
    {"id": "d2", "tenant": "globex", "labels": [], "classification": 1},
    {"id": "d3", "tenant": "acme", "labels": [], "classification": 3},
]
TEXT = "Write to bob@acme.com."


def found() -> Any:
    return ENGINE.filter(principal=ANN, action="retrieve", resource_type="Document", fulfilled=["redact"])


class Store(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Chunk]:
        return [Chunk(page_content="...", metadata=dict(each)) for each in DOCUMENTS]


def langchain() -> list[Chunk]:
    retriever = PermittedRetriever(source=Store(), filter_for=lambda _: found(), record_labels=lambda *_: None)
    return retriever.invoke("q")


def llamaindex() -> list[NodeWithScore]:
    nodes = [NodeWithScore(node=TextNode(text="...", metadata=dict(each)), score=1.0) for each in DOCUMENTS]
    return PermittedNodes(filter_for=found, record_labels=lambda _: None).postprocess_nodes(nodes)


def guarded() -> Sources:
    sources = Sources()

    @guard(
        ENGINE, principal=ANN, action="retrieve", resource=lambda given: {"type": "Document", **given["document"]},
        fulfil={"redact": lambda _: True}, record=lambda _: None, sources=sources,
    )  # fmt: skip
    def read(document: dict[str, Any]) -> None: ...

    for each in (DOCUMENTS[0], DOCUMENTS[2]):
        read(each)
    return sources


@pytest.mark.parametrize(
    "retrieved",
    [lambda: permitted(lambda n: DOCUMENTS[:n], found(), 3), langchain, llamaindex, guarded],
    ids=["permitted", "langchain", "llamaindex", "guard"],
)
def test_what_was_let_through_is_what_the_text_draws_on(retrieved: Any) -> None:
    got = retrieved()
    assert [one["id"] for one in Sources(got)] == ["d1", "d3"]
    assert ENGINE.release(TEXT, principal=ANN, output={}, sources=got).decision.determining == ("answers.above",)
    first = Sources(copy.deepcopy(got[:1] if isinstance(got, list) else got))
    first._documents = first._documents[:1]
    released = ENGINE.release(TEXT, principal=ANN, output={}, sources=first)
    assert (released.text, released.decision.labels) == ("Write to [email].", ("drew",))
    assert "".join(ENGINE.release_stream([TEXT], principal=ANN, output={}, sources=first)) == "Write to [email]."


def test_mappings_are_sources_as_before() -> None:
    assert ENGINE.release(TEXT, principal=ANN, output={}, sources=[]).text == TEXT
    assert ENGINE.release(TEXT, principal=ANN, output={}, sources=DOCUMENTS[:2]).text == TEXT
    assert not ENGINE.release(TEXT, principal=ANN, output={}, sources=DOCUMENTS).allowed
    # A rule that reads them errs where nothing is said of them.
    assert not ENGINE.release(TEXT, principal=ANN, output={}).allowed


ROUND: list[Any] = []
ROUND.append(ROUND)


@pytest.mark.parametrize(
    "source",
    [ROUND, "a text", 5, ["a text"], [Chunk(page_content="...", metadata=DOCUMENTS[0])], [None, 5]],
)
def test_what_is_no_document_denies(source: Any) -> None:
    released = ENGINE.release(TEXT, principal=ANN, output={}, sources=source)
    assert not released.allowed
    assert released.decision.errors[0].code == "POL504"
