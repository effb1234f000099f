"""The interface of stores: one call that carries out one operation in one atomic step, in a sync and an async form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

from policyengine.state.operations import Document, DocumentsFound, Operation, Outcome, Rejected


class StoreError(Exception):
    """The store is unavailable, or did not answer in time. Whether the operation was carried out is unknown.

    The text is for operators: it may show where the store is, and for whom it was opened."""

    @property
    def public_message(self) -> str:
        """The text that those who are denied because of it may see."""
        return str(self).partition(":")[0]


class Store(Protocol):
    """Both forms do the same. They raise StoreError if the store is unavailable, and nothing else."""

    def run(self, operation: Operation) -> Outcome: ...

    async def run_async(self, operation: Operation) -> Outcome: ...

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        """All documents whose key begins with this and a colon, each once, in any order, a few at a time: one that
        changes meanwhile is seen in its old or new state. Blocks no operation."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Sharded(Protocol):
    """A store whose parts may be lost independently."""

    def places(self) -> tuple[str, ...]:
        """A place on each shard, the same for every caller."""
        ...


def document_in(outcome: Outcome) -> Document:
    """The first document of an answer. Raises StoreError if there is none."""
    if isinstance(outcome, Rejected):
        raise StoreError(outcome.reason)
    if not isinstance(outcome, DocumentsFound) or outcome.documents[0] is None:
        raise StoreError("the state store gave an answer of the wrong kind")
    return outcome.documents[0]
