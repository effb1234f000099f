"""A day of requests through tiers: every answer is the ledger's, and every wait is true."""

from __future__ import annotations

import random

import pytest

from tests.state.replay import DAY, SECOND, Clock, replay, tiled
from tests.state.stores import STORES


@pytest.mark.parametrize("name", ["memory", "redis"])
def test_a_trace_is_answered_as_the_ledger_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(7)
    at, calls = 0, []
    for _ in range(60):
        # Bursts, and quiet times between them.
        at += rng.choice([0, 100_000, SECOND // 3, SECOND, 7 * SECOND, 61 * SECOND])
        calls.append((at, rng.choice([1, 300, 4_000, 20_000, 70_000])))
    clock = Clock()
    # Over a midnight.
    clock.now += DAY - 4_000 * SECOND
    for room in ("authorize", "fast_authorize"):
        monkeypatch.setattr(f"policyengine.state.{room}.time_ns", clock.at_host)
    with STORES[name](clock) as store:
        counted = replay(tiled(calls, 0.1), 4, store, clock)
    denied = {what for what in counted if "allowed" not in what}
    assert {"free: tiers.minute", "free: tiers.tokens"} <= denied
    assert counted["free: allowed"] > 10
