"""What is not done in the event loop but in threads: what computes for long, looks at texts, or waits for a store.

Each kind has threads of its own, and only so many requests of it are taken at once: a store that hangs holds up those
who need it, and neither a search nor a decision. What computes shares the interpreter with the event loop, so few do.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any, Literal, TypeVar

from policyengine.server.errors import RequestError

T = TypeVar("T")


class TakesLong(Exception):
    """Raised in the event loop for what is to be done again, in a thread."""


def in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


Kind = Literal["computing", "texts", "waiting"]
# Threads of each kind, and its part of all requests that may be under way at once.
THREADS: dict[Kind, int] = {"computing": 2, "texts": 2, "waiting": 32}
PARTS: dict[Kind, float] = {"computing": 1 / 8, "texts": 1 / 8, "waiting": 3 / 8}
# Streams go on for as long as their callers like.
STREAMS = 1 / 4
_WORDS: dict[Kind, str] = {
    "computing": "that take long to compute", "texts": "about texts", "waiting": "that wait for the state",
}  # fmt: skip
# After so long, in seconds, a thread that computes makes way for the event loop.
SWITCH = 0.000_5


class Aside:
    """The threads of one service. `concurrency` is how many requests may be under way at once, of all kinds."""

    def __init__(self, concurrency: int) -> None:
        self._pools = {kind: _Pool(kind, max(1, int(part * concurrency))) for kind, part in PARTS.items()}
        self._streams, self._most_streams = 0, max(1, int(STREAMS * concurrency))

    async def run(self, kind: Kind, work: Callable[..., T], *args: Any) -> T:
        """What it returns, or raises. Raises RequestError (503) where too many of its kind are under way."""
        return await asyncio.wrap_future(self._pools[kind].submit(work, *args))

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """While a stream goes on. Raises RequestError (503) where there are too many."""
        if self._streams >= self._most_streams:
            raise RequestError(503, f"more than {self._most_streams} streams at once", ((b"retry-after", b"1"),))
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def close(self) -> None:
        """Nothing that waits is begun any more."""
        for pool in self._pools.values():
            pool.threads.shutdown(wait=False, cancel_futures=True)


class _Pool:
    def __init__(self, kind: Kind, most: int) -> None:
        self.threads = ThreadPoolExecutor(THREADS[kind], thread_name_prefix=kind)
        self._kind = kind
        self._most = most
        self._lock = Lock()
        self._count = 0

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        with self._lock:
            if self._count >= self._most:
                raise RequestError(
                    503, f"more than {self._most} requests at once {_WORDS[self._kind]}", ((b"retry-after", b"1"),)
                )
            self._count += 1
        found = self.threads.submit(work, *args)
        # Whoever no longer waits for an answer does not end the work for it.
        found.add_done_callback(self._done)
        return found

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self._count -= 1


@contextmanager
def giving_way() -> Iterator[None]:
    """Threads that compute make way for the event loop soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
