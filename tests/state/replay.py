"""A trace of requests, replayed through tiers and budgets, each answer beside that of the reference ledger.

    python -m tests.state.replay TRACE.csv.gz [--days 3] [--tenants 300] [--tier free=10,100,60000 ...]

The trace has the columns TIMESTAMP, ContextTokens and GeneratedTokens. It is repeated until it fills the days, tenants
are told by a hash, and so are their tiers. Every denial is one that the ledger justifies, and every `retry_after` is
true: whoever waits that long succeeds, and whoever waits a second less does not.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from policyengine import Engine
from policyengine.state.store import Store
from policyengine.state.stores.memory import Memory
from tests.state.ledger import Entry, Ledger, Meter

SECOND = 1_000_000
DAY = 86_400 * SECOND
POLICIES = """
module tiers
use ai
extend Tenant { per_minute: Int, per_day: Int, budget: Int }
permit all: invoke on Model
limit minute: invoke on Model
  at most tenant.per_minute requests per 1m by tenant
limit day: invoke on Model
  at most tenant.per_day requests per day by tenant
limit tokens: invoke on Model
  at most tenant.budget of cost.tokens per day by tenant
"""
# Requests per minute and per day, and tokens per day.
Tiers = Mapping[str, tuple[int, int, int]]
TIERS: Tiers = {"free": (10, 100, 60_000), "basic": (60, 1_000, 700_000), "pro": (300, 10_000, 9_000_000)}

Call = tuple[int, int]
say = partial(print, flush=True)


def read(path: Path) -> list[Call]:
    """When, in microseconds from the first midnight on, and how many tokens."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = list(csv.DictReader(lines))
    times = [datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC) for row in rows]
    return [
        (round((at - times[0]).total_seconds() * SECOND), int(row["ContextTokens"]) + int(row["GeneratedTokens"]))
        for at, row in zip(times, rows, strict=True)
    ]


def tiled(calls: list[Call], days: float) -> Iterator[Call]:
    """The trace again and again, each time after the last one, for so many days."""
    length = calls[-1][0] + SECOND
    repeats = int(days * DAY / length) or 1
    for turn in range(repeats):
        yield from ((at + turn * length, tokens) for at, tokens in calls)


def replay(calls: Iterable[Call], tenants: int, store: Store, clock: Clock, tiers: Tiers = TIERS) -> Counter[str]:
    """How often each tier was allowed, and denied by what. Raises AssertionError where the ledger says otherwise."""
    # Of more tenants than one the first tier has most.
    names = [next(iter(tiers)), *tiers]
    engine = Engine.from_text(POLICIES, state=store)
    ledgers: dict[str, Ledger] = {}
    counted: Counter[str] = Counter()
    start = clock.now
    for number, (at, tokens) in enumerate(calls):
        clock.now = start + at
        name = f"tenant-{int(sha256(str(number).encode()).hexdigest(), 16) % tenants}"
        tier = names[int(sha256(name.encode()).hexdigest(), 16) % len(names)]
        minute, day, budget = tiers[tier]
        meters = [
            (Meter("tiers.day", "calendar", day * SECOND, DAY), SECOND),
            (Meter("tiers.minute", "sliding", minute * SECOND, SECOND), SECOND),
            (Meter("tiers.tokens", "calendar", budget * SECOND, DAY), tokens * SECOND),
        ]
        ledger = ledgers.setdefault(name, Ledger())
        _shorten(ledger, clock.now)
        full = ledger.reserve(f"{number}", meters, clock.now, clock.now + 600 * SECOND)
        grant = engine.authorize(
            principal={"type": "User", "id": "u"},
            action="invoke",
            resource={"type": "Model", "id": "m"},
            context={
                "tenant": {"type": "Tenant", "id": name, "per_minute": minute, "per_day": day, "budget": budget},
                "cost": {"tokens": tokens, "usd": 0},
            },
        )
        assert grant.allowed is not bool(full)
        assert list(grant.denied_by) == sorted(full)
        if full:
            _is_true(grant.retry_after, ledger, meters, clock.now)
        counted[f"{tier}: {' and '.join(full) or 'allowed'}"] += 1
    return counted


def _shorten(ledger: Ledger, now: int) -> None:
    """What no window reaches back to any more counts nowhere, and what a day has counted is one sum: nothing here is
    given back."""
    days: dict[Meter, Entry] = {}
    kept = []
    for one in ledger.entries:
        if one.meter.kind == "sliding":
            if now - one.at < 62 * SECOND:
                kept.append(one)
        elif one.at // DAY == now // DAY and (first := days.setdefault(one.meter, one)) is not one:
            first.amount += one.amount
    ledger.entries = [*kept, *days.values()]
    ledger.history.clear()
    ledger.leases.clear()


def _is_true(after: int | None, ledger: Ledger, meters: list[tuple[Meter, int]], now: int) -> None:
    def fits(at: int) -> bool:
        return all(ledger.used(meter, at) + amount <= meter.ceiling for meter, amount in meters)

    if after is None:
        assert any(amount > meter.ceiling for meter, amount in meters)
    else:
        assert fits(now + after * SECOND)
        assert not fits(now + (after - 1) * SECOND)


class Clock:
    """The clock of the host and of the store, from a midnight on."""

    def __init__(self) -> None:
        self.now = 20_000 * DAY

    def __call__(self) -> int:
        return self.now

    def at_host(self) -> int:
        return self.now * 1_000


def _tier(text: str) -> tuple[str, tuple[int, int, int]]:
    name, _, numbers = text.partition("=")
    minute, day, tokens = map(int, numbers.split(","))
    return name, (minute, day, tokens)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("trace", type=Path)
    parser.add_argument("--days", type=float, default=3)
    parser.add_argument("--tenants", type=int, default=300)
    parser.add_argument(
        "--tier", action="append", type=_tier, metavar="NAME=MINUTE,DAY,TOKENS", help="in place of those of this file"
    )
    asked = parser.parse_args()
    tiers = dict(asked.tier) if asked.tier else TIERS
    clock = Clock()
    began = time.perf_counter()
    host = clock.at_host
    with patch("policyengine.state.authorize.time_ns", host), patch("policyengine.state.fast_authorize.time_ns", host):
        counted = replay(tiled(read(asked.trace), asked.days), asked.tenants, Memory(clock), clock, tiers)
    for what, often in sorted(counted.items()):
        say(f"{often:8} {what}")
    say(f"{sum(counted.values())} requests in {time.perf_counter() - began:.0f} s, each as the ledger says")


if __name__ == "__main__":
    main()
