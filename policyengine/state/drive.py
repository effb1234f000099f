"""The one place where a store is called: what asks something of the store, and the store, brought together.

`run` and `run_async` differ in that call and nowhere else.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from policyengine.state.operations import Operation, Outcome
from policyengine.state.store import Store, StoreError

T = TypeVar("T")


def run(steps: Generator[Operation, Outcome, T], store: Store) -> T:
    """What the steps end with; each operation that they yield is sent its outcome. A StoreError is thrown into them,
    and raised only where they let it pass."""
    try:
        operation = next(steps)
        while True:
            try:
                outcome = store.run(operation)
            except StoreError as error:
                operation = steps.throw(error)
            else:
                operation = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def run_async(steps: Generator[Operation, Outcome, T], store: Store) -> T:
    """As `run`, without blocking the event loop."""
    try:
        operation = next(steps)
        while True:
            try:
                outcome = await store.run_async(operation)
            except StoreError as error:
                operation = steps.throw(error)
            else:
                operation = steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
