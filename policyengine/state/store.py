"""What a store is: one call that carries out one operation in one atomic step, in a sync and an async form."""

from __future__ import annotations

from typing import Protocol

from policyengine.state.operations import Operation, Outcome


class StoreError(Exception):
    """The store could not be asked, or did not answer in time. Nothing is known of whether the operation was done."""


class Store(Protocol):
    """Both forms do the same. They raise StoreError where the store is away, and nothing else."""

    def run(self, operation: Operation) -> Outcome: ...

    async def run_async(self, operation: Operation) -> Outcome: ...

    def close(self) -> None: ...
