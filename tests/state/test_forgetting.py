"""What says nothing any more goes away, in every store."""

from __future__ import annotations

import time

import pytest

from policyengine.state.operations import Charge, Commit, DocumentsFound, ReadDocuments, Settle, lease_key
from policyengine.state.stores.memory import Memory
from policyengine.state.stores.redis import Redis
from policyengine.state.windows import Sliding
from tests.state.servers import redis_url
from tests.state.stores import STORES

SECOND = 1_000_000
DAY = 86_400 * SECOND
WINDOW = Sliding(SECOND)
NOW = 1_800_000_000 * SECOND


def commit(number: int, once: str | None = None) -> Commit:
    meter = f"meter:m.rate:00a0{number}"
    charge = Charge(meter, "m.rate", (), WINDOW, 10 * SECOND, SECOND)
    return Commit(f"00a0{number}", "ann", (charge,), 600 * SECOND, 35 * DAY, once=once, body="b")


def settle(number: int) -> Settle:
    return Settle(f"00a0{number}", "ann", (), ((f"meter:m.rate:00a0{number}", WINDOW),))


def test_a_million_keys_would_not_stay() -> None:
    """Meters go once their window is over, settled reservations once their lease is, and open ones after 35 days."""
    now = NOW
    store = Memory(lambda: now)
    for number in range(200):
        store.run(commit(number))
        if number % 2:
            store.run(settle(number))
    assert len(store) == 400
    now += 800 * SECOND
    sweep(store)
    assert len(store) == 100
    now += 36 * DAY
    sweep(store)
    assert len(store) == 0


def sweep(store: Memory) -> None:
    for _ in range(20):
        store.run(ReadDocuments(("nothing",)))


@pytest.mark.parametrize("name", STORES)
def test_a_reservation_that_can_be_settled_stays_and_a_retry_finds_its_own(name: str) -> None:
    now = NOW
    with STORES[name](lambda: now) as store:
        for number, once in ((0, None), (1, "once:00a0:k")):
            store.run(commit(number, once))
        store.run(settle(1))
        now += 30 * DAY
        found = store.run(ReadDocuments((lease_key("00a00"), lease_key("00a01"))))
        assert isinstance(found, DocumentsFound)
        assert [document is not None and document["state"] for document in found.documents] == ["open", "settled"]
        again = store.run(commit(1, "once:00a0:k"))
        assert getattr(again, "replayed", "") == "00a01"


def test_redis_forgets_by_its_own_clock() -> None:
    store = Redis(redis_url(), prefix="forgetting:", deadline=30.0)
    started = time.monotonic()
    store.run(commit(0))
    client = store._client
    minutes = [client.pttl(key) / 60_000 for key in sorted(client.keys("forgetting:*"))]
    lease, meter = minutes
    # A busy machine asks a moment after it was written.
    assert meter + (time.monotonic() - started) / 60 > 2
    assert meter <= 2.1
    assert 34 * 1_440 < lease <= 35 * 1_440
    store.run(settle(0))
    assert 10 < client.pttl("forgetting:lease:00a00") / 60_000 <= 11
    store.close()
