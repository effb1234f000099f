"""The documents that went into a context window, from retrieval to `release`.

In: what retrieval lets through: documents, the results of a search, the chunks of a library's retriever. Out: the
documents in the form of `output.sources`, and what their decisions require beyond an allow: the labels that the session
must carry, and what must be done to texts that draw on them. If an item yields no document, the release is denied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from policyengine.model.decision import Decision, Obligation

# The obligations that can be carried out on a text.
ON_TEXTS = frozenset({"redact", "mask", "hash", "replace", "tokenize", "truncate", "withhold"})


class Marked(dict[str, Any]):
    """The metadata of a chunk that retrieval let through, with the document that was decided about, and its
    decision."""

    document: Mapping[str, Any]
    labels: tuple[str, ...]
    obligations: tuple[Obligation, ...]


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """One document, and the requirements of its decision."""

    document: Any
    labels: tuple[str, ...] = ()
    obligations: tuple[Obligation, ...] = ()


class Sources:
    """Documents. Fill it where they are retrieved, and pass it to `release(sources=...)`."""

    def __init__(self, given: Any = ()) -> None:
        self._documents: list[Mapping[str, Any]] = []
        self._labels: dict[str, None] = {}
        self._obligations: list[Obligation] = []
        # Why a source is not a document, if one is not.
        self.problem = ""
        self.add(given)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return iter(self._documents)

    def __len__(self) -> int:
        return len(self._documents)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that the session carries because of these documents."""
        return tuple(sorted(self._labels))

    @property
    def obligations(self) -> tuple[Obligation, ...]:
        """The obligations on texts that draw on them."""
        return tuple(self._obligations)

    def add(self, given: Any) -> Sources:
        """Adds documents: a mapping, a `Retrieved` or its results, chunks that one of the retrievers of `integrations`
        returned, or several of these. Returns this object."""
        match given:
            case None | str() | bytes():  # None means that a lookup found nothing, and is no document
                self.problem = "a source that is not a document"
            case Sources():
                self.problem = self.problem or given.problem
                self._take(list(given), given.labels, given.obligations)
            case Mapping():
                self._take([given], (), ())
            case _:
                try:
                    self._read(given)
                except RecursionError:
                    self.problem = "sources that are nested too deeply"
        return self

    def _read(self, given: Any) -> None:
        results = getattr(given, "results", None)
        if isinstance(results, Sequence):
            self.add(list(results))
            return
        if isinstance(document := getattr(given, "document", None), Mapping):
            self._take([document], getattr(given, "labels", ()), getattr(given, "obligations", ()))
            return
        chunk = getattr(given, "node", given)
        if hasattr(chunk, "metadata"):
            if isinstance(marked := chunk.metadata, Marked):
                self._take([marked.document], marked.labels, marked.obligations)
            else:
                self.problem = "a source that no retriever let through"
            return
        if not isinstance(given, Iterable):
            self.problem = "a source that is not a document"
            return
        for one in given:
            self.add(one)

    def _take(
        self, documents: Sequence[Mapping[str, Any]], labels: Iterable[str], obligations: Iterable[Obligation]
    ) -> None:
        self._documents += documents
        self._labels.update(dict.fromkeys(labels))
        self._obligations += [one for one in obligations if one.type in ON_TEXTS and one not in self._obligations]

    def onto(self, decision: Decision) -> Decision:
        """The decision about a text that draws on them: an allow gets their obligations, and its session their
        labels."""
        if decision.decision != "allow" or not (self._labels or self._obligations):
            return decision
        owed = [one for one in self._obligations if one not in decision.obligations]
        labels = tuple(sorted({*decision.labels, *self._labels}))
        return replace(decision, obligations=(*decision.obligations, *owed), labels=labels)
