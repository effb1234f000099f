"""Many processes on the same meters: charged exactly, no ceiling passed, and what is killed stays charged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from policyengine.state.operations import Commit, Done, Refused
from policyengine.state.stores.opening import open_store
from tests.state.hammer import KEYS, MILLION, charges
from tests.state.servers import cluster_url, postgresql_url, redis_url
from tests.support.paths import ROOT

# As the profile is: four processes that ask 100 times in a usual run, eight that ask 5,000 times at night.
COUNT = settings().max_examples // 2
PROCESSES = 8 if COUNT > 1_000 else 4


@pytest.fixture(params=["sqlite", "redis", "cluster", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    match request.param:
        case "sqlite":
            return f"sqlite:///{tmp_path}/state.db"
        case "redis":
            return redis_url(fresh=True)
        case "cluster":
            return cluster_url(fresh=True)
    return postgresql_url(fresh=True)


def hammer(url: str, seed: int, ceiling: int, flights: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.state.hammer", url, str(seed), str(COUNT), str(ceiling), str(flights)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def told(outputs: list[str]) -> Counter[str]:
    """How much each meter was charged, by what the processes were told."""
    counted: Counter[str] = Counter()
    for line in "".join(outputs).splitlines():
        what, *names = line.split()
        counted.update({name: {"charged": 1, "cancelled": -1, "refused": 0}[what] for name in names})
    return counted


def used(url: str, ceiling: int, flights: int) -> dict[str, int]:
    """What the meters say: asked for nothing, with room enough."""
    asked = tuple(charge for charge in charges(list(KEYS), ceiling * MILLION, flights))
    nothing = tuple(type(c)(c.meter, c.rule, c.by, c.window, c.ceiling, 0) for c in asked)
    outcome = open_store(url).run(Commit("look", "ann", nothing, 1, MILLION))
    assert isinstance(outcome, Done | Refused)
    if isinstance(outcome, Refused):
        return {refusal.rule: refusal.used // MILLION for refusal in outcome.refusals}
    return {use.rule: use.used // MILLION for use in outcome.uses}


@pytest.mark.slow
def test_what_many_processes_are_told_is_what_is_charged(url: str) -> None:
    open_store(url).close()
    ceiling = COUNT
    processes = [hammer(url, seed, ceiling, PROCESSES) for seed in range(PROCESSES)]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    counted = told(outputs)
    meters = used(url, ceiling, PROCESSES + 1)
    assert {key: meters[key] for key in KEYS} == {key: counted[key] for key in KEYS}
    # Fewer than were asked for: some were refused.
    assert max(counted.values()) == ceiling


@pytest.mark.slow
def test_what_a_killed_process_was_granted_stays_charged_and_its_flight_ends(url: str) -> None:
    open_store(url).close()
    processes = [hammer(url, seed, 10 * COUNT, PROCESSES) for seed in range(PROCESSES)]
    # They are in the middle of it.
    firsts = [process.stdout.readline() for process in processes if process.stdout is not None]
    assert all(firsts)
    for process in processes[1:]:
        process.kill()
    outputs = [process.communicate()[0] for process in processes]
    ended = time.monotonic()
    counted = told(firsts + outputs)
    meters = used(url, 10 * COUNT, 2 * PROCESSES + 1)
    for key in KEYS:
        # A killed process may not have been told of the last thing that was done for it.
        assert abs(meters[key] - counted[key]) < PROCESSES
    while (flights := used(url, 10 * COUNT, 2 * PROCESSES + 1)["flight"]) > 1 and time.monotonic() < ended + 30:
        time.sleep(0.1)
    assert flights <= 1
