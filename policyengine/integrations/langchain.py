"""LangChain: a retriever that returns only what the caller may see, around a vector store or another retriever."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.vectorstores import VectorStore

from policyengine.filters.filter import Filter, Query
from policyengine.integrations.documents import DocumentOf, attributes
from policyengine.integrations.retrieval import (
    LIMIT,
    Result,
    Retrieved,
    apermitted,
    logged,
    marked,
    permitted,
    recorded,
)

# Who asks, and what goes with it. Not the callbacks: whoever watches the run would see what the caller may not.
HANDED_ON = ("configurable", "metadata", "tags", "max_concurrency", "recursion_limit")


def native_filter(found: Filter | Query) -> dict[str, Any]:
    """What most vector stores of LangChain take: the query of the store as the argument `filter`."""
    return {"filter": found.native} if isinstance(found, Query) else {}


class PermittedRetriever(BaseRetriever):
    """The best k chunks that the caller may see.

    source: a vector store, or another retriever. A retriever that takes no arguments in a call (`k` and a filter; those
        of vector stores do) is asked once, for what it returns of itself.
    filter_for: makes the filter of a call from its RunnableConfig, which is where a chain carries who asks:
        `lambda config: engine.filter(principal=user_of(config), action="retrieve", resource_type="Document")`. What it
        raises is raised, and nothing is retrieved. The config has to come from the application: where a client may set
        it, it says nothing about who asks.
    backend: the store in whose terms the filter goes to the source, such as `chroma(...)` or `qdrant(...)`. Without it
        the source is asked for anything, and what it returns is looked at.
    arguments: from the Query (without a backend, the Filter) to the arguments of the source.
    document_of: reads the document from a chunk; `attributes(under=["metadata"])` if not given.
    k, limit: as in `policyengine.integrations.permitted`. Reaching the limit is logged as a warning.
    record_labels: is told the labels that the session carries from now on, if there are any, and the RunnableConfig of
        the call, before anything is returned.

    What the decision about a chunk owes is in its metadata, at `policyengine`: `labels`, and the `obligations` that
    `fulfilled` promised to fulfil. The source is called with the same RunnableConfig, without its callbacks.

    Raises UnrecordedLabels, when called as a retriever, if a chunk sets labels and there is no `record_labels`.
    Raises ValueError, when called, if a retriever has arguments of its own that the filter would replace.
    """

    source: VectorStore | BaseRetriever
    filter_for: Callable[[RunnableConfig], Filter]
    backend: Any = None
    arguments: Callable[[Any], Mapping[str, Any]] = native_filter
    document_of: DocumentOf = attributes(under=["metadata"])
    k: int = 4
    limit: int = LIMIT
    record_labels: Callable[[tuple[str, ...], RunnableConfig], object] | None = None

    def search(self, query: str, config: RunnableConfig | None = None) -> Retrieved[Document]:
        """As `invoke`, with how complete it is and what each chunk owes."""
        asked = ensure_config(config)
        filtered = self._found(asked)
        given = self._given(filtered)
        got = permitted(lambda n: self._search(query, n, given, asked), filtered, self.k, **self._terms(asked))
        return logged(got, self.limit)

    async def asearch(self, query: str, config: RunnableConfig | None = None) -> Retrieved[Document]:
        """As `ainvoke`, with how complete it is and what each chunk owes."""
        asked = ensure_config(config)
        filtered = self._found(asked)
        given = self._given(filtered)
        got = await apermitted(lambda n: self._asearch(query, n, given, asked), filtered, self.k, **self._terms(asked))
        return logged(got, self.limit)

    def _terms(self, config: RunnableConfig) -> dict[str, Any]:
        record = self.record_labels
        recorder = None if record is None else lambda labels: record(labels, config)
        return {"document_of": self.document_of, "limit": self.limit, "record_labels": recorder}

    # ---- what LangChain calls ----

    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        # What is not handed on in this way does not reach the method that does the work.
        return super().invoke(input, config, **{**kwargs, "asked": ensure_config(config)})

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        return await super().ainvoke(input, config, **{**kwargs, "asked": ensure_config(config)})

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, asked: RunnableConfig | None = None
    ) -> list[Document]:
        return _documents(recorded(self.search(query, asked), self.record_labels).results)

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, asked: RunnableConfig | None = None
    ) -> list[Document]:
        return _documents(recorded(await self.asearch(query, asked), self.record_labels).results)

    # ---- the source ----

    def _found(self, config: RunnableConfig) -> Filter | Query:
        filtered = self.filter_for(config)
        return filtered if self.backend is None else filtered.to(self.backend)

    def _given(self, found: Filter | Query) -> dict[str, Any]:
        """The arguments that the filter becomes."""
        given = dict(self.arguments(found))
        own = getattr(self.source, "search_kwargs", None)
        taken = sorted(given.keys() & own.keys()) if isinstance(own, Mapping) else []
        if taken:
            raise ValueError(
                f"the retriever has arguments of its own that the filter would replace: {', '.join(taken)}"
            )
        return given

    def _search(self, query: str, n: int, given: dict[str, Any], config: RunnableConfig) -> list[Document]:
        if isinstance(self.source, VectorStore):
            return self.source.similarity_search(query, k=n, **given)
        return self.source.invoke(query, _unwatched(config), **_accepted(self.source, {**given, "k": n}))

    async def _asearch(self, query: str, n: int, given: dict[str, Any], config: RunnableConfig) -> list[Document]:
        if isinstance(self.source, VectorStore):
            return await self.source.asimilarity_search(query, k=n, **given)
        return await self.source.ainvoke(query, _unwatched(config), **_accepted(self.source, {**given, "k": n}))


def _accepted(source: BaseRetriever, given: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that the retriever takes."""
    parameters = signature(source._get_relevant_documents).parameters
    if any(each.kind is Parameter.VAR_KEYWORD for each in parameters.values()):
        return given
    return {name: value for name, value in given.items() if name in parameters}


def _unwatched(config: RunnableConfig) -> RunnableConfig:
    kept: Any = {name: value for name, value in config.items() if name in HANDED_ON} | {"callbacks": []}
    unwatched: RunnableConfig = kept
    return unwatched


def _documents(results: list[Result[Document]]) -> list[Document]:
    """Copies, as the store's own would say of the next caller's chunk what this one owes."""
    return [each.chunk.model_copy(update={"metadata": marked(each.chunk.metadata, each)}) for each in results]
