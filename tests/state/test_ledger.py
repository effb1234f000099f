"""The law of meters: under any interleaving, every store says what the ledger says."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from policyengine.state.meters import MOST_RAISES
from policyengine.state.operations import (
    Adjust,
    Cancel,
    Charge,
    Commit,
    DocumentsFound,
    Done,
    Refused,
    Rejected,
    Renew,
    Settle,
)
from policyengine.state.store import Store
from policyengine.state.windows import Calendar, Concurrent, Sliding, Window
from tests.state.ledger import Ledger, Meter
from tests.state.stores import STORES
from tests.support.examples import few

METERS = (
    Meter("burst", "sliding", 5_000_000, 10),
    Meter("slow", "sliding", 8_000_000, 1_000),
    Meter("daily", "calendar", 9_000_000, 5_000),
    Meter("flight", "concurrent", 2_000_000),
    Meter("habit", "sliding", 2_000_000, 10, (200, 3)),
    Meter("habits", "calendar", 3_000_001, 5_000, (150, 2)),
)
KEEP = 10**9
amounts = st.sampled_from([1_000_000, 2_000_000, 3_000_000, 0, 1, 5_000_000, 6_000_000])
asked = st.lists(st.tuples(st.sampled_from(METERS), amounts), min_size=1, max_size=4, unique_by=lambda a: a[0])
# Around a bucket, a window, a period and a lease, where what counts changes.
steps = st.sampled_from([1, 9, 10, 11, 300, 599, 600, 601, 609, 610, 611, 1_000, 4_999, 5_000, 60_000, 61_000])


def window(meter: Meter, now: int) -> Window:
    match meter.kind:
        case "sliding":
            return Sliding(meter.size)
        case "calendar":
            start = now // meter.size * meter.size
            return Calendar(((start - meter.size, start), (start, start + meter.size)))
    return Concurrent()


def share(meter: Meter) -> tuple[int, int, int] | None:
    return (*meter.share, meter.period) if meter.share[0] else None


class Meters(RuleBasedStateMachine):
    leases = Bundle("leases")
    opening = STORES["memory"]
    asynchronous = False

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.ledger = Ledger()
        self.held: dict[str, list[tuple[Meter, int]]] = {}
        self.number = 0
        self.stack = ExitStack()
        self.loop = self.stack.enter_context(asyncio.Runner())
        self.store: Store = self.stack.enter_context(type(self).opening(lambda: self.now))

    def teardown(self) -> None:
        self.stack.close()

    def run(self, operation: object) -> object:
        if self.asynchronous:
            return self.loop.run(self.store.run_async(operation))  # type: ignore[arg-type]
        return self.store.run(operation)  # type: ignore[arg-type]

    @initialize(now=st.integers(1_000_000, 1_100_000))
    def begin(self, now: int) -> None:
        self.now = now

    @rule(by=steps)
    def later(self, by: int) -> None:
        self.now += by

    @rule(target=leases, asked=asked, lasting=st.sampled_from([1, 10, 600, 3_000]))
    def reserve(self, asked: list[tuple[Meter, int]], lasting: int) -> str:
        self.number += 1
        lease = f"lease-{self.number}"
        asked = [(meter, 1_000_000 if meter.kind == "concurrent" else amount) for meter, amount in asked]
        charges = tuple(
            Charge(m.name, m.name, (), window(m, self.now), m.ceiling, amount, share=share(m)) for m, amount in asked
        )
        outcome = self.run(Commit(lease, "ann", charges, lasting, KEEP))
        full = self.ledger.reserve(lease, asked, self.now, self.now + lasting)
        if full:
            assert isinstance(outcome, Refused)
            assert [refusal.rule for refusal in outcome.refusals] == full
            amounts = {meter.name: (meter, amount) for meter, amount in asked}
            for refusal in outcome.refusals:
                assert refusal.used == self.ledger.used(amounts[refusal.rule][0], self.now)
                assert refusal.ceiling == self.ledger.ceiling(amounts[refusal.rule][0], self.now)
                assert refusal.retry_at == self.ledger.retry_at(*amounts[refusal.rule], self.now)
        else:
            assert isinstance(outcome, Done)
            assert [use.used for use in outcome.uses] == [self.ledger.used(meter, self.now) for meter, _ in asked]
            assert [use.ceiling for use in outcome.uses] == [self.ledger.ceiling(meter, self.now) for meter, _ in asked]
            self.held[lease] = asked
        return lease

    @rule(lease=leases, share=st.fractions(0, 2), final=st.booleans())
    def settle(self, lease: str, share: object, final: bool) -> None:
        asked = self.held.get(lease, [])
        actual = {m: int(amount * share) for m, amount in asked if m.kind != "concurrent"}  # type: ignore[operator]
        windows = tuple((meter.name, window(meter, self.now)) for meter, _ in asked)
        named = tuple((meter.name, spent) for meter, spent in actual.items())
        outcome = self.run(Settle(lease, "ann", named, windows, final))
        assert isinstance(outcome, Done) == (lease in self.held and self.ledger.settle(lease, actual, self.now, final))

    @rule(lease=leases)
    def cancel(self, lease: str) -> None:
        meters = tuple(meter.name for meter, _ in self.held.get(lease, []))
        outcome = self.run(Cancel(lease, "ann", meters))
        assert isinstance(outcome, Done) == (lease in self.held and self.ledger.cancel(lease, self.now))

    @rule(lease=leases, lasting=st.sampled_from([1, 10, 600, 3_000]))
    def renew(self, lease: str, lasting: int) -> None:
        meters = tuple(meter.name for meter, _ in self.held.get(lease, []))
        outcome = self.run(Renew(lease, "ann", lasting, meters))
        done = lease in self.held and self.ledger.renew(lease, self.now, self.now + lasting)
        assert isinstance(outcome, Done) == done

    @rule(lease=leases)
    def somebody_else(self, lease: str) -> None:
        meters = tuple(meter.name for meter, _ in self.held.get(lease, []))
        assert isinstance(self.run(Cancel(lease, "eve", meters)), Rejected)

    @rule(meter=st.sampled_from(METERS))
    def reset(self, meter: Meter) -> None:
        self.adjust(meter, "reset")
        self.ledger.reset(meter, self.now)

    @rule(meter=st.sampled_from(METERS), more=amounts, lasting=st.sampled_from([1, 10, 600, 3_000]))
    def raise_(self, meter: Meter, more: int, lasting: int) -> None:
        if len([one for one in self.ledger.raises if one[0] == meter and self.now < one[2]]) < MOST_RAISES:
            self.adjust(meter, "raise", more, lasting)
            self.ledger.raises.append((meter, more, self.now + lasting))

    @rule(meter=st.sampled_from(METERS), more=amounts)
    def credit(self, meter: Meter, more: int) -> None:
        end = self.adjust(meter, "credit", more)
        ends = {"sliding": (self.now // meter.size + 61) * meter.size, "concurrent": self.now}
        assert end == ends.get(meter.kind, (self.now // meter.size + 1) * meter.size)
        self.ledger.raises.append((meter, more, end))

    def adjust(self, meter: Meter, what: str, more: int = 0, lasting: int = 0) -> int:
        self.number += 1
        id_, over = str(self.number), window(meter, self.now)
        asked = Adjust(id_, what, meter.name, meter.name, ("k",), over, meter.ceiling, more, lasting, "why", "ops")
        outcome = self.run(asked)
        assert isinstance(outcome, DocumentsFound)
        [change] = outcome.documents
        assert change is not None
        assert (change["what"], change["meter"], change["who"], change["at"]) == (what, meter.name, "ops", self.now)
        assert dict(self.store.survey("change"))[asked.key] == change
        return int(change["until"])

    @invariant()
    def nothing_passes(self) -> None:
        for meter in METERS:
            # What a baseline allowed may be more than it does today.
            if (
                not meter.share[0]
                and not any(lease.spent for lease in self.ledger.leases.values())
                and not self.ledger.raises
            ):
                assert self.ledger.used(meter, self.now) <= meter.ceiling


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", STORES)
def test_every_store_is_the_ledger(name: str, asynchronous: bool) -> None:
    machine = type("Machine", (Meters,), {"opening": staticmethod(STORES[name]), "asynchronous": asynchronous})
    # Whatever is on several shards takes several trips.
    run_state_machine_as_test(machine, settings=few(10 if name in ("cluster", "redis-8") else 3))
