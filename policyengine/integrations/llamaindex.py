"""LlamaIndex: a retriever and a node postprocessor that let through only what the caller may see.

`metadata_filters` asks the vector store for as much of that as it can express.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index.core.vector_stores.types import MetadataFilters

from policyengine.filters.backend import Backend
from policyengine.filters.filter import Filter, Query
from policyengine.integrations.documents import DocumentOf, attributes
from policyengine.integrations.llamaindex_filters import metadata_filters
from policyengine.integrations.retrieval import (
    LIMIT,
    MARK,
    Result,
    Retrieved,
    apermitted,
    logged,
    marked,
    permitted,
    recorded,
)

__all__ = ["PermittedNodes", "PermittedRetriever", "metadata_filters"]

METADATA: DocumentOf = attributes(under=["node", "metadata"])
RecordLabels = Callable[[tuple[str, ...]], object]


class PermittedRetriever(BaseRetriever):
    """The best k nodes that the caller may see.

    What the decision about a node owes is in its metadata, at `policyengine`: `labels`, and the `obligations` that
    `fulfilled` promised to fulfil. Raises UnrecordedLabels, when called as a retriever, if a node sets labels and there
    is no `record_labels`.
    """

    def __init__(
        self,
        retriever_for: Callable[[int, MetadataFilters | None], BaseRetriever],
        filter_for: Callable[[], Filter],
        *,
        backend: Backend | None = None,
        document_of: DocumentOf = METADATA,
        k: int = 4,
        limit: int = LIMIT,
        record_labels: RecordLabels | None = None,
    ) -> None:
        """
        retriever_for: makes the retriever of the best n nodes that meet the filters:
            `lambda n, filters: index.as_retriever(similarity_top_k=n, filters=filters)`.
        filter_for: makes the filter of a call. LlamaIndex hands nothing on that says who asks; a ContextVar does:
            `lambda: engine.filter(principal=user.get(), action="retrieve", resource_type="Document")`. What it raises
            is raised, and nothing is retrieved.
        backend: `metadata_filters(...)`; without it the filters are None.
        document_of: reads the document from a NodeWithScore; its metadata, if not given.
        k, limit: as in `policyengine.integrations.permitted`. Reaching the limit is logged as a warning.
        record_labels: is told the labels that the session carries from now on, if there are any, before anything is
            returned.
        """
        super().__init__()
        self._retriever_for = retriever_for
        self._filter_for = filter_for
        self._backend = backend
        self._k = k
        self._limit = limit
        self._record_labels = record_labels
        self._terms: dict[str, Any] = {"document_of": document_of, "limit": limit, "record_labels": record_labels}

    def search(self, query: str | QueryBundle) -> Retrieved[NodeWithScore]:
        """As `retrieve`, with how complete it is and what each node owes."""
        filtered = self._found()
        filters = filtered.native if isinstance(filtered, Query) else None

        def nearest(n: int) -> list[NodeWithScore]:
            return self._retriever_for(n, filters).retrieve(query)

        return logged(permitted(nearest, filtered, self._k, **self._terms), self._limit)

    async def asearch(self, query: str | QueryBundle) -> Retrieved[NodeWithScore]:
        """As `aretrieve`, with how complete it is and what each node owes."""
        filtered = self._found()
        filters = filtered.native if isinstance(filtered, Query) else None

        async def nearest(n: int) -> list[NodeWithScore]:
            return await self._retriever_for(n, filters).aretrieve(query)

        return logged(await apermitted(nearest, filtered, self._k, **self._terms), self._limit)

    # ---- what LlamaIndex calls ----

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(recorded(self.search(query_bundle), self._record_labels).results)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return _nodes(recorded(await self.asearch(query_bundle), self._record_labels).results)

    def _handle_recursive_retrieval(self, query_bundle: QueryBundle, nodes: list[NodeWithScore]) -> list[NodeWithScore]:
        # What an index node stands for was put in its place before the nodes were looked at. Nothing may be put there
        # afterwards.
        return nodes

    async def _ahandle_recursive_retrieval(
        self, query_bundle: QueryBundle, nodes: list[NodeWithScore]
    ) -> list[NodeWithScore]:
        return nodes

    def _found(self) -> Filter | Query:
        filtered = self._filter_for()
        return filtered if self._backend is None else filtered.to(self._backend)


class PermittedNodes(BaseNodePostprocessor):
    """The nodes that the caller may see, of those that something else retrieved. It fetches no others in their place.

    filter_for, document_of, record_labels: as for `PermittedRetriever`."""

    filter_for: Callable[[], Filter]
    document_of: DocumentOf = METADATA
    record_labels: RecordLabels | None = None

    @classmethod
    def class_name(cls) -> str:
        return "PermittedNodes"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if not nodes:
            return []
        # A search that has nothing more than these nodes.
        every: Callable[[int], Any] = lambda _: nodes  # noqa: E731
        count = len(nodes)
        got = permitted(
            every,
            self.filter_for(),
            count,
            document_of=self.document_of,
            limit=count,
            record_labels=self.record_labels,
        )
        return _nodes(recorded(got, self.record_labels).results)


def _nodes(results: list[Result[NodeWithScore]]) -> list[NodeWithScore]:
    """Copies, as the index's own would say of the next caller's node what this one owes. The model is not shown it."""
    return [NodeWithScore(node=_marked(each), score=each.chunk.score) for each in results]


def _marked(result: Result[NodeWithScore]) -> BaseNode:
    node = result.chunk.node
    excluded = {
        name: [*getattr(node, name), MARK]
        for name in ("excluded_llm_metadata_keys", "excluded_embed_metadata_keys")
        if hasattr(node, name) and MARK not in getattr(node, name)
    }
    return node.model_copy(update={"metadata": marked(node.metadata, result), **excluded})
