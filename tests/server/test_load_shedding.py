"""When there is too much to do: a simulated process with a clock of its own, so that nothing depends on the machine."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from policyengine.server.load_shedding import WINDOW, Backlog

MOST, WORK, REFUSAL = 0.025, 0.002, 0.00004


def simulated(
    load: float, seconds: float = 10.0, pause: float = 0.0, most: float = MOST, work: float = WORK
) -> list[tuple[float, bool]]:
    """How long each request took that arrived at random, `load` times as many as the process can answer, and whether it
    was answered. Once a second the machine does nothing for `pause`."""
    chance = random.Random(7)
    backlog = Backlog(most)
    now, due, waiting, taken = 0.0, 0.0, [], []
    paused = 0.0
    while now < seconds:
        while due <= now:
            waiting.append(due)
            due += chance.expovariate(load / work)
        if not waiting:
            now = due
            continue
        # A turn of the event loop: what has come is read, and then it is each one's turn.
        read, asked = now, waiting
        waiting = []
        for arrived in asked:
            if pause and now - paused > 1.0:
                paused = now = now + pause
            refused = backlog.refuses(now - read, now)
            now += REFUSAL if refused else work
            taken.append((now - arrived, not refused))
    return taken


def p99(taken: list[tuple[float, bool]]) -> float:
    answered = sorted(seconds for seconds, good in taken if good)
    return answered[int(len(answered) * 0.99)]


# What one request takes, in seconds.
WORKS = (0.0005, 0.002, 0.01)


@pytest.mark.parametrize("work", WORKS)
def test_what_can_be_done_is_done(work: float) -> None:
    for load in (0.3, 0.8):
        assert all(good for _, good in simulated(load, work=work))
    nearly = [good for _, good in simulated(0.95, work=work)]
    assert sum(nearly) > 0.98 * len(nearly)


@pytest.mark.parametrize("work", WORKS)
def test_under_three_times_as_much_those_that_are_answered_are_not_late(work: float) -> None:
    usual, much = simulated(0.8, work=work), simulated(3.0, work=work)
    # Most of what could be done is done, and the rest is told so.
    assert sum(good for _, good in much) > 0.75 * 10 / work
    steady = much[len(much) // 10 :]
    assert p99(steady) <= 2 * p99(usual)
    # Without it they would wait for ever.
    assert p99(simulated(3.0, most=1e9, work=work)) > 10 * p99(steady)


@pytest.mark.parametrize("pause", [0.05, 0.1])
def test_a_machine_that_pauses_refuses_nobody(pause: float) -> None:
    assert all(good for _, good in simulated(0.3, pause=pause))


def test_it_ends_when_there_is_no_more_to_do() -> None:
    backlog = Backlog(MOST)
    times = [number * WINDOW / 10 for number in range(1, 41)]
    assert [backlog.refuses(1.0, now) for now in times][-1]
    assert backlog.is_shedding
    after = [times[-1] + number * WINDOW / 10 for number in range(40)]
    assert not any(backlog.refuses(0.0, now) for now in after)
    assert not backlog.is_shedding
    assert all(later >= earlier for earlier, later in pairwise(after))
    # And after a silence nothing of it is left.
    assert [backlog.refuses(1.0, 10 + now) for now in times][-1]
    assert not backlog.refuses(1.0, 100.0)


def test_requests_that_come_one_by_one_are_no_backlog() -> None:
    backlog = Backlog(MOST)
    each = WINDOW * 1.1
    assert not any(backlog.refuses(0.95 * each, number * each) for number in range(100))
