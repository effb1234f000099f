"""Authorizing, in process: limits are charged, sessions are marked, and what is away denies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from policyengine import Engine
from policyengine.state.block_operations import ReadBlocks
from policyengine.state.grant import SettleError
from policyengine.state.operations import DocumentsFound, Operation, Outcome
from policyengine.state.session_calls import UnknownSession
from policyengine.state.store import Store, StoreError
from policyengine.state.stores.memory import Memory
from tests.state.conftest import Clock
from tests.state.stores import STORES

POLICIES = """
module gateway
use ai

permit models: invoke on Model
permit tools: call on Tool

limit chat_rate: invoke on Model
  at most 3 requests per 1m by principal

limit budget: invoke on Model
  when context has cost
  because "the budget of this month is used up"
  at most tenant.monthly_budget of cost.usd per month by tenant

label saw_web: call on Tool::"browse"

forbid exfiltration: call on Tool::"send"
  when "saw_web" in session.labels
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme"}
BOB = {"type": "User", "id": "bob", "tenant": "acme"}
MODEL = {"type": "Model", "id": "m"}
ACME = {"type": "Tenant", "id": "acme", "monthly_budget": 1.5}
MINUTE = 60_000_000


@pytest.fixture(params=STORES)
def engine(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Engine]:
    opening: Callable[[Callable[[], int]], AbstractContextManager[Store]] = STORES[request.param]
    with opening(clock) as store:
        yield Engine.from_text(POLICIES, state=store)


def invoke(engine: Engine, principal: dict[str, Any] = ANN, usd: float | None = None, **more: Any) -> Any:
    context = {"tenant": ACME} | ({"cost": {"usd": usd, "tokens": 1}} if usd is not None else {})
    return engine.authorize(principal=principal, action="invoke", resource=MODEL, context=context, **more)


def test_the_ceiling_holds_and_the_wait_is_true(engine: Engine, clock: Clock) -> None:
    for used in (1, 2, 3):
        grant = invoke(engine)
        assert grant.allowed
        assert [(limit.rule, limit.used, limit.remaining) for limit in grant.limits] == [
            ("gateway.chat_rate", used, 3 - used)
        ]
    refused = invoke(engine)
    assert (refused.allowed, refused.denied_by) == (False, ("gateway.chat_rate",))
    assert refused.decision.determining == ("gateway.chat_rate",)
    assert 60 <= refused.retry_after <= 61
    assert invoke(engine, BOB).allowed
    clock.now += (refused.retry_after - 1) * 1_000_000
    assert not invoke(engine).allowed
    clock.now += 1_000_000
    assert invoke(engine).allowed


def test_all_or_none(engine: Engine) -> None:
    assert invoke(engine, usd=1.0).allowed
    refused = invoke(engine, usd=1.0)
    assert refused.denied_by == ("gateway.budget",)
    assert refused.decision.reasons == ("the budget of this month is used up",)
    assert invoke(engine, usd=0.5).limits[0].used == 1.5
    assert [limit.used for limit in invoke(engine).limits] == [3]


def test_what_could_never_fit_has_no_time_to_retry(engine: Engine) -> None:
    assert invoke(engine, usd=1.6).retry_after is None


def test_the_truth_is_recorded_past_the_ceiling(engine: Engine) -> None:
    grant = invoke(engine, usd=1.0)
    assert [limit.used for limit in grant.settle({"usd": 2.0})] == [2.0, 1.0]
    assert not invoke(engine, usd=0.0001).allowed
    with pytest.raises(SettleError):
        grant.settle({"usd": 0.0})


def test_what_cost_less_makes_room(engine: Engine) -> None:
    invoke(engine, usd=1.5).settle({"usd": 0.25})
    assert invoke(engine, usd=1.25).allowed


def test_a_grant_left_unsettled_keeps_its_estimate(engine: Engine) -> None:
    with invoke(engine, usd=1.5):
        pass
    assert not invoke(engine, usd=0.1).allowed


def test_only_cancel_gives_back(engine: Engine) -> None:
    invoke(engine, usd=1.5).cancel()
    assert invoke(engine, usd=1.5).allowed


def test_a_stream_is_told_when_to_stop(engine: Engine) -> None:
    grant = invoke(engine, usd=0.5)
    assert grant.add({"usd": 0.4})
    assert grant.add({"usd": 1.5})
    assert not grant.add({"usd": 1.6})
    with pytest.raises(SettleError):
        grant.cancel()


def test_a_cost_that_is_no_number_is_refused_and_the_estimate_stays(engine: Engine) -> None:
    grant = invoke(engine, usd=1.5)
    with pytest.raises(SettleError):
        grant.settle({"usd": "0"})
    assert not invoke(engine, usd=0.1).allowed


@pytest.mark.parametrize("usd", [-1, "1", True, float("nan"), 1e30])
def test_an_estimate_that_is_no_amount_denies(engine: Engine, usd: Any) -> None:
    grant = invoke(engine, usd=usd)
    assert not grant.allowed
    assert grant.decision.determining == ("gateway.budget",)
    assert grant.decision.errors


def test_a_retry_is_charged_once(engine: Engine) -> None:
    first = invoke(engine, usd=1.0, idempotency_key="k")
    again = invoke(engine, usd=1.0, idempotency_key="k")
    assert again.allowed
    assert again.replayed
    assert again.id == first.id
    assert [limit.used for limit in again.limits] == [1.0, 1.0]
    assert not invoke(engine, usd=0.5, idempotency_key="k").allowed


def call(engine: Engine, tool: str, principal: dict[str, Any] = ANN, **more: Any) -> Any:
    resource = {"type": "Tool", "id": tool, "args": {}}
    return engine.authorize(principal=principal, action="call", resource=resource, **more)


def test_a_session_remembers_what_it_saw(engine: Engine) -> None:
    assert call(engine, "send", session="s").allowed
    assert call(engine, "browse", session="s").allowed
    assert call(engine, "send", session="other").allowed
    refused = call(engine, "send", session="s")
    assert refused.decision.determining == ("gateway.exfiltration",)
    assert not call(engine, "send", BOB, session="s").allowed


def test_labels_never_come_from_the_request(engine: Engine) -> None:
    forged = {"session": {"type": "Session", "id": "s", "labels": []}}
    assert not call(engine, "send", session="s", context=forged).allowed
    assert not call(engine, "send", context=forged).allowed


def test_a_rule_that_reads_the_session_errs_without_one(engine: Engine) -> None:
    refused = call(engine, "send")
    assert not refused.allowed
    assert refused.decision.errors


class Away:
    """A store that answered once, when the list of blocks was read, and does no more."""

    def __init__(self) -> None:
        self.asked = 0

    def run(self, operation: Operation) -> Outcome:
        if isinstance(operation, ReadBlocks):
            return DocumentsFound(0, (None,))
        self.asked += 1
        raise StoreError("nobody answers: 10.0.0.7:6379, as `admin`")

    async def run_async(self, operation: Operation) -> Outcome:
        return self.run(operation)

    def close(self) -> None: ...


def test_a_store_that_is_away_denies_and_is_asked_for_nothing_else() -> None:
    store = Away()
    engine = Engine.from_text(POLICIES, state=store)
    assert call(engine, "browse").allowed
    assert store.asked == 0
    grants = [
        invoke(engine),
        call(engine, "browse", session="s"),
        call(engine, "send", session="s"),
        asyncio.run(engine.authorize_async(principal=ANN, action="invoke", resource=MODEL)),
    ]
    assert not any(grant.allowed for grant in grants)
    errors = [error for grant in grants for error in grant.decision.errors]
    assert {error.code for error in errors} == {"POL540"}
    # Where the store is, and who it was opened for, is nothing that who is denied may know.
    assert {error.message for error in errors} == {"nobody answers"}
    assert engine.decide(principal=ANN, action="invoke", resource=MODEL).decision == "allow"


def test_a_malformed_request_is_denied(engine: Engine) -> None:
    assert not engine.authorize(principal={}, action="invoke", resource=MODEL).allowed
    assert not engine.authorize(principal=ANN, action=[], resource=7, session="s").allowed  # type: ignore[arg-type]


def authorize(engine: Engine, **more: Any) -> Any:
    return engine.authorize(principal=ANN, action="invoke", resource=MODEL, **more)


def limited(how: str, clock: Clock) -> Engine:
    return Engine.from_text(
        f"module m\nuse ai\npermit all: invoke on Model\nlimit it: invoke on Model\n  {how}", state=Memory(clock)
    )


def test_what_is_in_flight_counts_until_it_is_settled_or_its_lease_ends(clock: Clock) -> None:
    engine = limited("at most 2 concurrent by principal", clock)
    first, _ = authorize(engine, lease=10), authorize(engine, lease=20)
    refused = authorize(engine)
    assert (refused.allowed, refused.retry_after) == (False, 10)
    first.settle()
    assert authorize(engine, lease=5).allowed
    assert not authorize(engine).allowed
    clock.now += 5_000_000
    assert authorize(engine).allowed


def test_a_grant_that_is_renewed_stays_in_flight(clock: Clock) -> None:
    engine = limited("at most 1 concurrent by principal", clock)
    grant = authorize(engine, lease=10)
    clock.now += 9_000_000
    grant.renew(10)
    clock.now += 9_000_000
    assert not authorize(engine).allowed
    clock.now += 1_000_000
    assert authorize(engine).allowed
    with pytest.raises(SettleError):
        grant.renew()


def test_a_limit_that_has_tripped_blocks(clock: Clock) -> None:
    engine = limited("at most 1 requests per 1m by principal then block for 10m", clock)
    assert authorize(engine).allowed
    assert authorize(engine).retry_after == 600
    clock.now += 599_000_000
    assert not authorize(engine).allowed
    clock.now += 1_000_000
    assert authorize(engine).allowed


@pytest.mark.parametrize(
    ("now", "length"),
    [("2027-03-28T12:00:00+02:00", 23), ("2027-10-31T12:00:00+01:00", 25), ("2027-06-01T12:00:00+02:00", 24)],
)
def test_a_day_lies_between_local_midnights(clock: Clock, now: str, length: int) -> None:
    noon = datetime.fromisoformat(now)
    clock.now = round(noon.timestamp() * 1_000_000)
    engine = limited('at most 1 requests per day in "Europe/Berlin" by principal', clock)
    assert authorize(engine).allowed
    midnight = (noon.replace(hour=0) + timedelta(days=1)).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert authorize(engine).retry_after == round((midnight - noon).total_seconds())
    clock.now += authorize(engine).retry_after * 1_000_000
    assert authorize(engine).allowed
    start = noon.replace(tzinfo=ZoneInfo("Europe/Berlin"), hour=0).astimezone(UTC)
    assert (midnight.astimezone(UTC) - start) == timedelta(hours=length)


def test_a_limit_may_say_that_a_store_that_is_away_lets_pass() -> None:
    policies = "module m\nuse ai\npermit all: invoke on Model\n"
    limit = "limit {0}: invoke on Model\n  at most 1 requests per 1m by principal {1}\n"
    engine = Engine.from_text(policies + limit.format("a", "on failure allow"), state=Away())
    grant = authorize(engine)
    assert (grant.decision.decision, grant.metered) == ("allow", False)
    assert [error.code for error in grant.decision.errors] == ["POL540"]
    both = policies + limit.format("a", "on failure allow") + limit.format("b", "on failure deny")
    assert authorize(Engine.from_text(both, state=Away())).decision.decision == "deny"


THREE_REFUNDS = """
module support
use ai

permit refunds: call on Tool::"refund"

forbid a_person_after_three: call on Tool::"refund"
  when any c in session.calls: c.tool == "refund" and c.allowed >= 3
"""


@pytest.mark.parametrize("name", STORES)
def test_at_most_three_times_in_a_session(name: str, clock: Clock) -> None:
    with STORES[name](clock) as store:
        engine = Engine.from_text(THREE_REFUNDS, state=store)
        said = [call(engine, "refund", session="s").allowed for _ in range(5)]
        assert said == [True, True, True, False, False]
        assert call(engine, "refund", session="another").allowed


def test_one_session_from_many_threads_allows_three(tmp_path: Path) -> None:
    engine = Engine.from_text(THREE_REFUNDS, state=f"sqlite:///{tmp_path}/state.db")
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: call(engine, "refund", session="s").allowed, range(24)))
    assert sum(said) == 3


def test_a_reservation_is_settled_where_it_was_not_made(engine: Engine) -> None:
    grant = invoke(engine, usd=1.5, caller="gateway")
    assert engine.reservation(grant.id) is None
    assert engine.reservation("another", caller="gateway") is None
    again = engine.reservation(grant.id, caller="gateway")
    assert again is not None
    assert [limit.used for limit in again.settle({"usd": 0.25})] == [0.25, 1.0]
    assert invoke(engine, usd=1.25).allowed
    with pytest.raises(SettleError):
        grant.settle()


def test_a_reservation_knows_what_its_amount_is_made_of(clock: Clock) -> None:
    policies = """
module m
use ai
extend Model { price: Number }
permit all: invoke on Model
limit budget: invoke on Model
  at most 10 of model.price * cost.tokens per day by principal
"""
    engine = Engine.from_text(policies, state=Memory(clock))
    model = {"type": "Model", "id": "m", "price": 2}
    grant = engine.authorize(principal=ANN, action="invoke", resource=model, context={"cost": {"tokens": 5}})
    assert [limit.used for limit in grant.limits] == [10]
    again = engine.reservation(grant.id)
    assert again is not None
    assert [limit.used for limit in again.settle({"tokens": 1})] == [2]


def test_a_session_is_opened_for_its_principal_and_remembers_results(engine: Engine) -> None:
    session = engine.sessions.open(ANN)
    assert call(engine, "send", session=session).allowed
    engine.sessions.record_result(session, ANN, tool="send", labels=["saw_web"])
    assert not call(engine, "send", session=session).allowed
    assert engine.sessions.read(session, ANN).labels == ("saw_web",)
    for somebody in (lambda: engine.sessions.read(session, BOB), lambda: engine.sessions.read("none", ANN)):
        with pytest.raises(UnknownSession):
            somebody()
    with pytest.raises(UnknownSession):
        engine.sessions.record_result(session, BOB, labels=["x"])
    with pytest.raises(TypeError):
        engine.sessions.record_result(session, ANN, labels="saw_web")
    engine.sessions.remove_labels(session, ANN, labels=["saw_web"])
    assert call(engine, "send", session=session).allowed


def test_a_session_expires(engine: Engine, clock: Clock) -> None:
    session = engine.sessions.open(ANN)
    clock.now += 86_400_000_000
    with pytest.raises(UnknownSession):
        engine.sessions.read(session, ANN)


def test_calls_that_came_back_are_counted(engine: Engine) -> None:
    counting = Engine.from_text(THREE_REFUNDS)
    session = counting.sessions.open(ANN)
    call(counting, "refund", session=session)
    counting.sessions.record_result(session, ANN, tool="refund")
    [counted] = counting.sessions.read(session, ANN).calls
    assert counted == {"action": "call", "tool": "refund", "attempted": 1, "allowed": 1, "completed": 1}


def test_a_retry_of_what_was_given_back_is_no_grant(engine: Engine) -> None:
    """Or one charge, given back, would be worth any number of requests."""
    invoke(engine, usd=1.5, idempotency_key="k").cancel()
    assert not invoke(engine, usd=1.5, idempotency_key="k").allowed
    assert invoke(engine, usd=1.5).allowed


def test_a_session_that_nobody_opened_denies_where_the_host_does_not_name_it(engine: Engine) -> None:
    """Another id, or another tenant beside it, would be a session that has seen nothing."""
    session = engine.sessions.open(ANN)
    call(engine, "browse", session=session, opens=False)
    assert call(engine, "send", session=session, opens=False).decision.determining == ("gateway.exfiltration",)
    assert not call(engine, "send", session="another", opens=False).allowed
    elsewhere = {**ANN, "tenant": "globex"}
    assert not call(engine, "send", elsewhere, session=session, opens=False).allowed
    assert not call(engine, "browse", session="another", opens=False).allowed
    assert call(engine, "send", session="another").allowed
