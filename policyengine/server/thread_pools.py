"""Threads for work that must not block the event loop: long computation, scanning of texts, and waiting for a store.

Each kind of work has its own threads, and a bound on its requests: a store that hangs delays the requests that need it,
but no search or decision. Computation shares the interpreter with the event loop, so it has few threads. A scan that
waits for a classifier gives way to others meanwhile. Code for rules that were not used before is made once, however
many requests wait for it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from threading import Condition, Lock
from typing import Any, Literal, TypeVar

from policyengine.compile.compile_on_demand import Unmade
from policyengine.release.classifiers import WORKERS, going_away
from policyengine.server.errors import RequestError

T = TypeVar("T")


Kind = Literal["computing", "texts", "waiting"]
# The threads of each kind; and the part of all requests that each kind may have under way.
THREADS: dict[Kind, int] = {"computing": 2, "texts": 2, "waiting": 32}
PARTS: dict[Kind, float] = {"computing": 1 / 8, "texts": 1 / 8, "waiting": 3 / 8}
# The part of all requests that is left to those that wait for nothing.
REST = 1 / 8
# The seconds that a request waits for the code that it needs.
MAKING = 30.0
# Streams go on for as long as their callers like.
STREAMS = 1 / 4
# The number of streams that scan at once.
LOOKING = 2
# The number of large batches that have a slice in each turn of the event loop; others wait.
SLICING = 4
# The part of all requests that may be sliced, those that wait for a slice included.
SLICED = 1 / 8
_WORDS: dict[Kind, str] = {
    "computing": "that take long to compute", "texts": "about texts", "waiting": "that wait for the state",
}  # fmt: skip
# The seconds after which a computing thread makes way for the event loop.
SWITCH = 0.000_5


class ThreadPools:
    """The threads of one service. `concurrency` is the number of requests that may be under way at once, of all
    kinds."""

    def __init__(self, concurrency: int) -> None:
        self._pools = {kind: _Pool(kind, max(1, int(part * concurrency))) for kind, part in PARTS.items()}
        self._streams, self._most_streams = 0, max(1, int(STREAMS * concurrency))
        # Answers of more than one slice take turns, so many at a time; and so many may wait.
        self._turns = asyncio.Semaphore(SLICING)
        self._sliced, self._most_sliced = 0, max(1, int(SLICED * concurrency))
        self._looking = _Places("looking", LOOKING)
        # One thread makes code, each piece once for all requests that wait for it.
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="making")
        self._making: dict[Hashable, Future[object]] = {}
        self._waiting, self._most = 0, max(1, int((1 - REST) * concurrency))

    async def run(self, kind: Kind, work: Callable[..., T], *args: Any) -> T:
        """What the work returns or raises. Raises RequestError as `begin` does."""
        return await asyncio.wrap_future(self.begin(kind, work, *args))

    def begin(self, kind: Kind, work: Callable[..., T], *args: Any) -> Future[T]:
        """A future of the work. Raises RequestError (503) if too many of its kind are under way."""
        return self._pools[kind].submit(work, *args)

    def count(self, kind: Kind) -> int:
        """The number of requests of a kind that are under way."""
        return self._pools[kind].count

    async def make(self, unmade: Unmade) -> None:
        """Waits until the code is made. Raises RequestError (503) if too many wait, or have waited for too long."""
        self._check_room()
        made = self._making.get(unmade.key)
        if made is None:
            made = self._making[unmade.key] = self._maker.submit(unmade.make)
            made.add_done_callback(lambda _: self._making.pop(unmade.key, None))
        self._waiting += 1
        try:
            done, _ = await asyncio.wait({asyncio.wrap_future(made)}, timeout=MAKING)
        finally:
            self._waiting -= 1
        if not done:
            raise _busy(f"rules used for the first time were not ready after {MAKING:.0f} seconds")
        made.result()

    @asynccontextmanager
    async def slicing(self) -> AsyncIterator[None]:
        """A context for an answer that is made slice by slice. Raises RequestError (503) if there are too many."""
        if self._sliced >= self._most_sliced:
            raise _busy(f"more than {self._most_sliced} large batches at once")
        self._check_room()
        self._sliced += 1
        try:
            async with self._turns:
                yield
        finally:
            self._sliced -= 1

    def _check_room(self) -> None:
        """Whether one more may wait: places are left to those that wait for nothing. Raises RequestError (503)."""
        pools = sum(pool.count for pool in self._pools.values())
        if self._waiting + self._sliced + self._streams + pools >= self._most:
            raise _busy(f"more than {self._most} waiting requests at once")

    async def look(self, work: Callable[[], T]) -> T:
        """What the work returns or raises. For streams: each stream scans at most one text at a time, and waits for its
        turn."""
        return await asyncio.wrap_future(self._looking.submit(work))

    @contextmanager
    def streaming(self) -> Iterator[None]:
        """A context for a stream. Raises RequestError (503) if there are too many."""
        if self._streams >= self._most_streams:
            raise _busy(f"more than {self._most_streams} streams at once")
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    def close(self) -> None:
        """Nothing that waits is begun any more."""
        for places in (*self._pools.values(), self._looking):
            places.close()
        self._maker.shutdown(wait=False, cancel_futures=True)


def _busy(why: str) -> RequestError:
    return RequestError(503, why, ((b"retry-after", b"1"),))


class _Places:
    """Threads with a bound on those that work at once. At most as many wait for classifiers as classifiers run, so some
    are always free."""

    def __init__(self, name: str, places: int) -> None:
        self.threads = ThreadPoolExecutor(places + WORKERS, thread_name_prefix=name)
        self._changed = Condition()
        # The number of free places, and the number of those that went away and want one again: they come first.
        self._free, self._back = places, 0
        self._waiting: dict[Future[Any], Callable[[], Any]] = {}

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        future: Future[T] = Future()
        with self._changed:
            self._waiting[future] = partial(work, *args)
        # Nothing is kept of what was given up.
        future.add_done_callback(self._forget)
        self._start()
        return future

    def _start(self) -> None:
        """Begins what there are places for."""
        with self._changed:
            while self._waiting and self._free > self._back:
                future = next(iter(self._waiting))
                work = self._waiting.pop(future)
                if future.set_running_or_notify_cancel():
                    self._free -= 1
                    self.threads.submit(self._work, future, work)

    def _forget(self, future: Future[Any]) -> None:
        with self._changed:
            self._waiting.pop(future, None)

    def _work(self, future: Future[T], work: Callable[[], T]) -> None:
        try:
            with going_away(self.away):
                result = work()
        except BaseException as error:  # noqa: BLE001 - whoever waits is told of it
            self._leave()
            future.set_exception(error)
        else:
            self._leave()
            future.set_result(result)

    def _leave(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify()
        self._start()

    @contextmanager
    def away(self) -> Iterator[None]:
        """While one waits, another has its place."""
        self._leave()
        try:
            yield
        finally:
            with self._changed:
                self._back += 1
                self._changed.wait_for(lambda: self._free > 0)
                self._back -= 1
                self._free -= 1

    def close(self) -> None:
        """Nothing that waits is begun any more."""
        with self._changed:
            waiting = list(self._waiting)
        for each in waiting:
            each.cancel()
        self.threads.shutdown(wait=False, cancel_futures=True)


class _Pool(_Places):
    """The same, with a bound on requests under way at once: those that wait for classifiers keep nobody out."""

    def __init__(self, kind: Kind, most: int) -> None:
        super().__init__(kind, THREADS[kind])
        self._kind = kind
        self._most = most
        self._lock = Lock()
        self.count = self._gone = 0

    def submit(self, work: Callable[..., T], *args: Any) -> Future[T]:
        with self._lock:
            if self.count - self._gone >= self._most:
                raise _busy(f"more than {self._most} requests at once {_WORDS[self._kind]}")
            self.count += 1
        future = super().submit(work, *args)
        # A caller that no longer waits for an answer does not end the work for it.
        future.add_done_callback(self._done)
        return future

    @contextmanager
    def away(self) -> Iterator[None]:
        with super().away():
            self._move(1)
            try:
                yield
            finally:
                self._move(-1)

    def _move(self, by: int) -> None:
        with self._lock:
            self._gone += by

    def _done(self, _: Future[Any]) -> None:
        with self._lock:
            self.count -= 1


@contextmanager
def giving_way() -> Iterator[None]:
    """Threads that compute soon make way for the event loop."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, SWITCH))
    try:
        yield
    finally:
        sys.setswitchinterval(before)
