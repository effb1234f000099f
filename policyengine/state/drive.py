"""The one place where a store is called: an authorization and what it asks of the store, brought together.

`run` and `run_async` differ in that call and nowhere else.
"""

from __future__ import annotations

from policyengine.state.authorize import Authorizing
from policyengine.state.grant import Grant
from policyengine.state.operations import Operation, Outcome
from policyengine.state.store import Store, StoreError


def run(steps: Authorizing, store: Store) -> Grant:
    """The grant, with the store asked in between. Never raises for a store that is away: that denies."""
    step = _start(steps)
    while not isinstance(step, Grant):
        try:
            outcome = store.run(step)
        except StoreError as error:
            step = _fail(steps, error)
        else:
            step = _send(steps, outcome)
    return step


async def run_async(steps: Authorizing, store: Store) -> Grant:
    """As `run`, without blocking the event loop."""
    step = _start(steps)
    while not isinstance(step, Grant):
        try:
            outcome = await store.run_async(step)
        except StoreError as error:
            step = _fail(steps, error)
        else:
            step = _send(steps, outcome)
    return step


Step = Operation | Grant


def _start(steps: Authorizing) -> Step:
    try:
        return next(steps)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _send(steps: Authorizing, outcome: Outcome) -> Step:
    try:
        return steps.send(outcome)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


def _fail(steps: Authorizing, error: StoreError) -> Step:
    try:
        return steps.throw(error)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
