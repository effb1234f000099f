"""Whoever leaves before the answer holds up nobody who stays: what is not begun is not begun, what computes ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator
from typing import Any

import pytest

from policyengine.server.body import Disconnected
from policyengine.server.disconnects import in_thread, in_turns, while_wanted
from policyengine.server.thread_pools import ThreadPools

DISCONNECT = {"type": "http.disconnect"}


class Client:
    """One who stays until told to leave."""

    def __init__(self, *, stays: bool = True) -> None:
        self.left = asyncio.Event()
        if not stays:
            self.left.set()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return DISCONNECT


def _slices(gone: Client, loop: asyncio.AbstractEventLoop, done: list[int]) -> Generator[None, None, int]:
    """Long work, whose client leaves after three slices. The event loop is always heard before the next."""
    for number in range(10_000):
        done.append(number)
        if number == 3:
            loop.call_soon_threadsafe(gone.left.set)
        if number > 3:
            # In a thread the loop needs its turn before anybody can hear of it; in the loop it has had it.
            threading.Event().wait(0.001)
        yield
    return 1


def test_who_left_at_once_is_asked_nothing() -> None:
    async def main() -> None:
        threads, asked = ThreadPools(16), list[int]()
        with pytest.raises(Disconnected):
            await in_thread(threads, "computing", Client(stays=False).receive, asked.append, 1)
        assert await in_thread(threads, "computing", Client().receive, lambda: 7) == 7
        threads.close()
        assert not asked

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["computing", "texts"])
def test_what_waits_for_a_thread_is_not_begun(kind: Any) -> None:
    async def main() -> None:
        threads, go, begun = ThreadPools(64), threading.Event(), list[int]()
        busy = [asyncio.create_task(in_thread(threads, kind, Client().receive, go.wait)) for _ in range(2)]
        client = Client()
        waiting = asyncio.create_task(in_thread(threads, kind, client.receive, begun.append, 1))
        while threads.count(kind) < 3:
            await asyncio.sleep(0)
        client.left.set()
        with pytest.raises(Disconnected):
            await waiting
        assert threads.count(kind) == 2
        go.set()
        assert await asyncio.gather(*busy) == [True, True]
        assert await threads.run(kind, lambda: 7) == 7
        threads.close()
        assert not begun

    asyncio.run(main())


def test_what_computes_ends_with_its_slice() -> None:
    async def main() -> list[int]:
        threads, client, done = ThreadPools(16), Client(), list[int]()
        slices = _slices(client, asyncio.get_running_loop(), done)
        with pytest.raises(Disconnected):
            await in_thread(threads, "computing", client.receive, while_wanted, slices)
        # The next one has its place once the thread has ended.
        for _ in range(2):
            assert await threads.run("computing", lambda: 7) == 7
        threads.close()
        return done

    assert 3 < len(asyncio.run(main())) < 5_000


def test_slices_in_the_event_loop_end() -> None:
    async def main() -> list[int]:
        threads, client, done = ThreadPools(16), Client(), list[int]()
        with pytest.raises(Disconnected):
            await in_turns(threads, _slices(client, asyncio.get_running_loop(), done), client.receive)
        threads.close()
        return done

    assert 3 < len(asyncio.run(main())) < 20


def test_what_changes_something_is_done_and_told() -> None:
    async def main() -> int:
        threads, client, go, begun = ThreadPools(16), Client(), threading.Event(), threading.Event()

        def charge() -> int:
            begun.set()
            go.wait()
            return 7

        charging = asyncio.create_task(in_thread(threads, "waiting", client.receive, charge))
        while not begun.is_set():
            await asyncio.sleep(0)
        client.left.set()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not charging.done()
        go.set()
        charged = await charging
        threads.close()
        return charged

    assert asyncio.run(main()) == 7


def test_what_fails_is_told() -> None:
    async def main() -> None:
        threads = ThreadPools(16)
        with pytest.raises(ZeroDivisionError):
            await in_thread(threads, "computing", Client().receive, lambda: 1 // 0)
        threads.close()

    asyncio.run(main())
