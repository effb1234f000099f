"""Work for a client that may disconnect before the answer is there.

Work that has not begun by then is never begun, and pure computation ends with its slice: otherwise the requests of
clients that have left would delay all others. Work that has begun to change something is completed, and reported.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from threading import Event
from typing import Any, TypeVar

from starlette.types import Receive

from policyengine.compile.compile_on_demand import ONLY_MADE
from policyengine.cooperative import at_once
from policyengine.server.body import Disconnected
from policyengine.server.thread_pools import Kind, ThreadPools

T = TypeVar("T")
# The connection is read in one turn, and its end is noticed in the next.
TURNS = 3
# Whether a client still waits for the work in this thread.
_left: ContextVar[Event | None] = ContextVar("left", default=None)


def _next_slice(slices: Generator[None, None, T]) -> T | None:
    """The result, if this slice is the last; otherwise None. Compiles no code that takes long to compile."""
    try:
        with ONLY_MADE:
            next(slices)
    except StopIteration as done:
        result: T = done.value
        return result
    return None


async def in_thread(threads: ThreadPools, kind: Kind, receive: Receive, work: Callable[..., T], *args: Any) -> T:
    """What the work returns or raises. Raises Disconnected, and RequestError as `ThreadPools.begin` does."""
    left = Event()
    async with _watched(receive) as leaving:
        # A client that left right after its request is noticed in the next turns of the event loop.
        for _ in range(TURNS):
            await asyncio.sleep(0)
        if leaving.done():
            raise Disconnected
        begun = threads.begin(kind, _unless, left, work, *args)
        answer: asyncio.Future[T] = asyncio.wrap_future(begun)
        try:
            awaited: set[asyncio.Future[Any]] = {answer, leaving}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                left.set()
                if begun.cancel() or kind == "computing":
                    raise Disconnected
            return await answer
        finally:
            answer.cancel()


async def in_turns(threads: ThreadPools, slices: Generator[None, None, T], receive: Receive) -> T:
    """The result, slice by slice; other requests have their turns in between. Raises Disconnected, and RequestError as
    `ThreadPools.slicing` does."""
    if (answer := _next_slice(slices)) is not None:
        return answer
    async with _watched(receive) as leaving, threads.slicing():
        while answer is None:
            await asyncio.sleep(0)
            if leaving.done():
                raise Disconnected
            answer = _next_slice(slices)
    return answer


def while_wanted(slices: Generator[None, None, T]) -> T:
    """The result, in a thread that delays nobody. Raises Disconnected after a slice if nobody waits for it any more."""
    left = _left.get()

    def check() -> None:
        if left is not None and left.is_set():
            raise Disconnected

    return at_once(slices, check)


def _unless(left: Event, work: Callable[..., T], *args: Any) -> T:
    if left.is_set():
        raise Disconnected
    token = _left.set(left)
    try:
        return work(*args)
    finally:
        _left.reset(token)


@asynccontextmanager
async def _watched(receive: Receive) -> AsyncIterator[asyncio.Task[None]]:
    """A task that is done once the connection is gone."""
    leaving = asyncio.create_task(_gone(receive))
    try:
        yield leaving
    finally:
        leaving.cancel()


async def _gone(receive: Receive) -> None:
    message = await receive()
    if message["type"] != "http.disconnect":
        # The client sent something unexpected.
        await asyncio.Event().wait()
