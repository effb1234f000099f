"""What limits have counted, as every store tells it, and what operators do about it."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.state.operations import Charge, Commit, Done
from policyengine.state.usage_calls import Meters, NoMeter
from policyengine.state.windows import Calendar, Concurrent, Sliding
from tests.state.stores import STORES
from tests.support.told import Told

SECOND = 1_000_000
DAY = 86_400 * SECOND
# Noon in UTC.
NOON = 20_000 * DAY + DAY // 2
LONG = Sliding(DAY // 2)
TODAY = Calendar(((NOON - DAY, NOON), (NOON, NOON + DAY), (NOON + DAY, NOON + 2 * DAY)))


def charge(rule: str, tenant: str, window: Any, amount: int) -> Charge:
    by = (f'principal.tenant="{tenant}"', 'resource={"id":"m","type":"Model"}')
    return Charge(f"meter:{rule}:{tenant}:00a0{tenant}", rule, by, window, 10 * SECOND, amount * SECOND)


@pytest.mark.parametrize("name", STORES)
def test_every_store_tells_and_changes_the_same(name: str) -> None:
    now = NOON
    told = Told()
    with STORES[name](lambda: now) as store:
        meters = Meters(store, told)

        def commit(id_: str, *charges: Charge) -> Any:
            return store.run(Commit(f"00a0{id_}", "ann", charges, 600 * SECOND, DAY))

        assert meters.usage() == []
        commit("1", charge("m.long", "acme", LONG, 3), charge("m.day", "acme", TODAY, 1))
        commit("2", charge("m.long", "eve", LONG, 1), charge("m.flight", "eve", Concurrent(), 1))
        now += DAY
        commit("3", charge("m.long", "acme", LONG, 4))
        assert [(one.rule, one.tenant, one.model, one.used, one.ceiling) for one in meters.usage()] == [
            ("m.long", "acme", "m", 7.0, 10.0),
            ("m.long", "eve", "m", 1.0, 10.0),
        ]
        [mine] = meters.usage(tenant="acme", rule="m.long", model="m")
        assert mine.key == ('principal.tenant="acme"', 'resource=Model::"m"')
        assert dict(mine.days) == {"2024-10-04": 3.0, "2024-10-05": 4.0}
        assert [(one.tenant, one.used) for one in meters.sums("tenant", day="2024-10-05")] == [("acme", 7.0)]
        assert [(one.day, one.used) for one in meters.sums("day")] == [("2024-10-04", 4.0), ("2024-10-05", 4.0)]

        assert not isinstance(commit("4", charge("m.long", "acme", LONG, 9)), Done)
        meters.raise_("m.long", *mine.key, amount=2, seconds=60, why="launch", by="ops")
        meters.credit("m.long", *mine.key, amount=4.5, by="ops")
        [raised] = meters.usage(tenant="acme")
        assert (raised.ceiling, raised.raised) == (16.5, 6.5)
        assert isinstance(commit("5", charge("m.long", "acme", LONG, 9)), Done)
        meters.reset("m.long", *mine.key, why="mistake", by="ops", tenant="acme")
        assert meters.usage(tenant="acme", rule="m.long")[0].used == 0
        assert sorted((one.what, one.amount, one.why, one.by) for one in meters.changes(tenant="acme")) == [
            ("credit", 4.5, "", "ops"), ("raise", 2.0, "launch", "ops"), ("reset", 0.0, "mistake", "ops"),
        ]  # fmt: skip
        assert meters.changes(tenant="eve") == []
        with pytest.raises(NoMeter):
            meters.reset("m.long", *mine.key, tenant="eve")
        with pytest.raises(NoMeter):
            meters.reset("m.other", *mine.key)
        assert {event.kind for event in told.events} == {"limit.changed"}
        assert {event.tenant for event in told.events} == {"acme"}


POLICIES = """
module p
use ai
permit models: invoke on Model
limit rate: invoke on Model when principal is User
  at most 2 requests per 1h by principal.tenant
limit flight: invoke on Model when principal is User
  at most 9 concurrent by principal then block for 10m
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": [], "email": "ann@acme.example"}
ASKED: dict[str, Any] = {"principal": ANN, "action": "invoke", "resource": {"type": "Model", "id": "m"}}


def test_a_key_that_was_never_charged_is_raised_in_values_or_as_it_is_shown() -> None:
    engine = Engine.from_text(POLICIES)
    engine.meters.raise_("p.rate", "acme", amount=1, seconds=60)
    engine.meters.raise_("p.rate", 'principal.tenant="acme"', amount=1, seconds=60)
    assert [engine.authorize(**ASKED).allowed for _ in range(5)] == [True] * 4 + [False]
    engine.meters.reset("p.rate", "acme")
    engine.meters.raise_("p.flight", {"type": "User", "id": "ann"}, amount=1, seconds=60)
    assert engine.authorize(**ASKED).allowed


@pytest.mark.parametrize(
    ("what", "key", "more"),
    [
        ("credit", ["acme"], {"amount": 0}),
        ("credit", ["acme"], {"amount": -1}),
        ("credit", ["acme", "m"], {"amount": 1}),
        ("credit", ["principal.tenant=x"], {"amount": 1}),
        ("raise_", ["acme"], {"amount": 1, "seconds": 0}),
        ("raise_", ["acme"], {"amount": float("nan"), "seconds": 1}),
        ("credit", ["acme"], {"amount": float("inf")}),
    ],
)
def test_a_change_that_means_nothing_is_refused(what: str, key: list[str], more: dict[str, Any]) -> None:
    engine = Engine.from_text(POLICIES)
    with pytest.raises(ValueError, match=r"\w"):
        getattr(engine.meters, what)("p.rate", *key, **more)
    assert engine.meters.changes() == []


def test_what_is_in_flight_is_not_credited() -> None:
    engine = Engine.from_text(POLICIES)
    with pytest.raises(ValueError, match="in flight"):
        engine.meters.credit("p.flight", {"type": "User", "id": "ann"}, amount=1)
