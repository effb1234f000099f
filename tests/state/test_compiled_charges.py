"""Laws: what is done fast is what the specification does. `charges_if_plain` = `charges`, and a store = `apply`."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.model.request import Request, request
from policyengine.model.values import Fault
from policyengine.state.apply import apply
from policyengine.state.charges import charges
from policyengine.state.compiled_charges import CompiledLimits, plan
from policyengine.state.operations import (
    Cancel,
    Charge,
    Commit,
    DocumentsFound,
    Done,
    Hold,
    Label,
    OpenSession,
    Operation,
    ReadDocuments,
    ReadSession,
    Rejected,
    Release,
    Settle,
)
from policyengine.state.sessions import MAX_CALLS
from policyengine.state.stateful_rules import metering
from policyengine.state.stores.memory import Memory
from policyengine.state.windows import Concurrent, Sliding, calendar
from tests.state.stores import STORES
from tests.support.examples import few

POLICIES = """
module m
use ai
extend Model { price: Number, tier: String }
extend Tenant { budget: Number }
permit all: invoke on Model

limit by_principal: invoke on Model
  at most 10 requests per 1m by principal
limit by_two: invoke on Model
  at most 10 of cost.usd per day in "Europe/Berlin" by principal, model.tier
limit by_tenant: invoke on Model
  at most tenant.budget of cost.tokens per month by tenant
limit odd: invoke on Model
  at most 10 of model.price * cost.tokens per 1h by model
limit in_flight: invoke on Model
  at most 2 concurrent by model
"""
ENTITIES = [
    {"type": "Model", "id": "known", "price": 3, "tier": "gold"},
    {"type": "Tenant", "id": "rich", "budget": 99},
]
ENGINE = Engine.from_text(POLICIES, entities=ENTITIES)
SNAPSHOT = ENGINE.snapshot
METERING = metering(SNAPSHOT.policies)

texts = st.sampled_from(["known", "rich", "a", "", "é\ud800", 'q"', "a,b"])
numbers = st.one_of(
    st.sampled_from([0, 1, 0.1, 0.018, -0.0, -1, 1e-7, 0.0000015, 4.5e9, 2**53, 10**400, float("nan"), float("inf")]),
    st.floats(0, 1e4), st.integers(-5, 10**7),
)  # fmt: skip
odd = st.sampled_from([None, True, "5", [], {}, b"x"])


def entity(type_: str, **attributes: Any) -> st.SearchStrategy[Any]:
    whole = st.fixed_dictionaries({"type": st.just(type_), "id": texts}, optional=attributes)
    return st.one_of(whole, whole, whole, odd)


principals = st.one_of(
    entity("User", delegated_by=entity("Agent")),
    entity("Service"),
    entity("Agent", delegated_by=entity("Agent")),
    entity("Model", tier=texts),
)
models = entity("Model", price=st.one_of(numbers, odd), tier=st.one_of(texts, odd))
contexts = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "cost": st.one_of(
                odd, st.fixed_dictionaries({}, optional={"usd": st.one_of(numbers, odd), "tokens": numbers})
            ),
            "tenant": entity("Tenant", budget=numbers),
            "agent": entity("Agent"),
        },
    ),
)
NOW = 1_800_000_000_000_000


@given(principals, models, contexts, st.sets(st.sampled_from(sorted(METERING.limits)), min_size=1))
def test_quick_charges_are_the_charges(principal: Any, model: Any, context: Any, named: set[str]) -> None:
    names = tuple(sorted(named))
    try:
        whole = request(principal, "invoke", model, context)
        everyone = [actor.principal for actor in actors(whole, SNAPSHOT.world, SNAPSHOT.schema)]
    except Fault:
        # No decision names a limit for it.
        return
    envs = [Env(Request(actor, whole.action, whole.resource, whole.context), SNAPSHOT.world) for actor in everyone]
    expected = charges([METERING.limits[name] for name in names], envs, NOW)
    known = plan(METERING, SNAPSHOT, names)
    for _ in range(2):
        found = known.charges_if_plain(principal, "invoke", model, context, NOW)
        if found is not None:
            assert not expected.errors
            assert [one.charge for one in found.metered] == [one.charge for one in expected.metered]
            assert [one.env for one in found.metered] == [one.env for one in expected.metered]
    made = _found(known, principal, model, context)
    assert made is None or made == tuple(one.charge for one in expected.metered)


def _found(known: CompiledLimits, principal: Any, model: Any, context: Any) -> tuple[Charge] | None:
    """What is found of what was charged before."""
    if known.find is None or (context is not None and "agent" in context):
        return None
    try:
        return known.find(principal, model, context)
    except Exception:  # noqa: BLE001 - as nothing
        return None


@pytest.mark.parametrize("name", ["m.by_principal", "m.in_flight"])
def test_what_was_charged_before_is_found(name: str) -> None:
    known = plan(METERING, SNAPSHOT, (name,))
    ann, bob, model = {"type": "User", "id": "ann"}, {"type": "User", "id": "bob"}, {"type": "Model", "id": "m"}
    assert _found(known, ann, model, None) is None
    charged = known.charged(ann, "invoke", model, None, NOW)
    assert charged is not None
    assert _found(known, ann, model, None) is charged
    # Somebody acts for another, or is somebody else.
    assert _found(known, {**ann, "delegated_by": {"type": "Agent", "id": "a"}}, model, None) is None
    assert (_found(known, bob, model, None) is None) == (name == "m.by_principal")


def test_what_limits_commonly_read_is_compiled() -> None:
    cost = {"cost": {"usd": 0.018, "tokens": 5}, "tenant": {"type": "Tenant", "id": "t", "budget": 5}}
    model = {"type": "Model", "id": "m", "tier": "gold"}
    names = ("m.by_principal", "m.by_tenant", "m.by_two", "m.in_flight")
    known = plan(METERING, SNAPSHOT, names)
    assert known.charges_if_plain({"type": "User", "id": "u"}, "invoke", model, cost, NOW) is not None


# ---- what stores write ----

# All of one place, so that one shard does it.
S, T, D, F = (f"meter:{name}:00a0" for name in "stdf")
WINDOWS = {S: Sliding(10_000), T: Sliding(7), D: calendar("minute", "UTC", NOW), F: Concurrent()}
# Limits that become relative to the past, and are not any more.
SHARES: tuple[dict[str, tuple[int, int, int]], ...] = ({}, {T: (150, 2, 420), D: (200, 3, 60_000_000)}, {})


@cache
def charge(key: str, amount: int, advisory: bool, block: int, share: tuple[int, int, int] | None) -> Charge:
    """The same each time, as requests that ask the same of a meter share it."""
    return Charge(key, key, ("k",), WINDOWS[key], 9, amount, block, advisory, share)


asked = st.lists(
    st.tuples(st.sampled_from(sorted(WINDOWS)), st.integers(0, 4), st.booleans(), st.sampled_from([0, 0, 30_000])),
    min_size=0, max_size=4, unique_by=lambda one: one[0],
)  # fmt: skip
plain = st.lists(
    st.tuples(st.sampled_from([S, T, D]), st.integers(0, 11), st.just(False), st.just(0)),
    min_size=1, max_size=2, unique_by=lambda one: one[0],
)  # fmt: skip
times = st.sampled_from([0, 0, 1, 7, 400, 10_000, 600_000, 20_000_000, -5, -20_000])
steps = st.lists(st.tuples(asked | plain, times, st.integers(0, 9)), max_size=30)


@pytest.mark.parametrize("name", STORES)
def test_a_store_writes_what_the_specification_writes(name: str) -> None:
    @few(4)
    @given(steps)
    def law(steps: list[tuple[list[Any], int, int]]) -> None:
        now = NOW
        with STORES[name](lambda: now) as store:
            documents: dict[str, Any] = {}
            for number, (wanted, by, share) in enumerate(steps):
                now += by
                made = tuple(
                    charge(key, amount, advisory, block, SHARES[number % 3].get(key))
                    for key, amount, advisory, block in wanted
                )
                operations: list[Operation] = [Commit(f"00a0-{number}", "ann", made, 50_000, 10**12)]
                windows = tuple((key, WINDOWS[key]) for key, *_ in wanted)
                if share < 3:
                    operations.append(Settle(f"00a0-{number}", "ann", ((S, 2), (D, 3)), windows, share > 0))
                elif share < 5:
                    operations.append(Cancel(f"00a0-{number}", "ann", tuple(key for key, _ in windows)))
                elif share < 9:
                    held: list[Operation] = [
                        Hold(f"00a0-{number}", made, 40_000),
                        Commit(f"00a0-{number}", "ann", made, 50_000, 10**12, held=True, elsewhere=made[:1]),
                        Commit(f"00a0-{number}", "ann", made, 50_000, 10**12, held=True, elsewhere=made[:1]),
                        Release(f"00a0-{number}", "ann", made),
                    ]
                    operations = [one for place, one in enumerate(held) if place < 2 or (share + place) % 2]
                    operations = operations if share < 8 else [held[0], held[3]]
                for operation in operations:
                    applied = apply(operation, {key: documents.get(key) for key in operation.keys}, now)
                    documents |= {key: document for key, (document, _) in applied.writes.items()}
                    assert store.run(operation) == applied.outcome
            if documents:
                found = store.run(ReadDocuments(tuple(documents)))
                assert isinstance(found, DocumentsFound)
                for key, document in zip(documents, found.documents, strict=True):
                    # What says nothing any more may be forgotten.
                    assert document is None or document == documents[key]

    law()


lone = st.tuples(st.sampled_from([S, S, S, T, D]), st.sampled_from([1, 1, 1, 0, 4]), times, st.sampled_from([0, 0, 3]))


@given(st.lists(lone, max_size=30))
def test_one_charge_is_made_as_its_commit_is(steps: list[tuple[str, int, int, int]]) -> None:
    now = NOW
    store = Memory(lambda: now)
    documents: dict[str, Any] = {}
    until: dict[str, int] = {}
    for number, (key, amount, by, cancelled) in enumerate(steps):
        now += by
        if cancelled:
            # Some earlier one is taken back, so that its meter is a ring no more.
            asked = Cancel(f"00a0-{max(0, number - cancelled)}", "ann", (S, T, D))
            applied = apply(asked, {key: documents.get(key) for key in asked.keys}, now)
            documents |= {key: document for key, (document, _) in applied.writes.items()}
            until |= {key: expires_at for key, (_, expires_at) in applied.writes.items()}
            assert store.run(asked) == applied.outcome
        commit = Commit(f"00a0-{number}", "ann", (charge(key, amount, False, 0, None),), 50_000, 10**12, memo="{}")
        applied = apply(commit, {key: documents.get(key) for key in commit.keys}, now)
        documents |= {key: document for key, (document, _) in applied.writes.items()}
        until |= {key: expires_at for key, (_, expires_at) in applied.writes.items()}
        done = store.charge(commit, commit.keep)
        assert (done or store.run(commit)) == applied.outcome
        for key in commit.keys:
            (found,) = store.run(ReadDocuments((key,))).documents
            # What says nothing any more may be forgotten.
            assert found == documents.get(key) or (found is None and until[key] <= now)


def test_what_is_charged_again_takes_no_commit() -> None:
    now = NOW
    store = Memory(lambda: now)
    again = charge(S, 1, False, 0, None)
    commit = Commit("00a0-1", "ann", (again,), 50_000, 10**12)
    assert store.charge(commit, commit.keep) is None
    store.run(commit)
    now += 9_999
    assert isinstance(store.charge(commit, commit.keep), Done)
    # The next bucket, and a clock that was set back; two charges, and another one.
    now = NOW + 10_000
    assert store.charge(commit, commit.keep) is None
    now = NOW + 9_998
    assert store.charge(commit, commit.keep) is None
    now = NOW + 9_999
    assert store.charge(Commit("00a0-2", "ann", (again, charge(T, 1, False, 0, None)), 1, 10**12), 10**12) is None
    assert store.charge(Commit("00a0-3", "ann", (charge(S, 0, False, 0, None),), 1, 10**12), 10**12) is None
    # Until there is no room.
    assert [store.charge(commit, commit.keep) is None for _ in range(8)] == [False] * 7 + [True]
    found = store.run(ReadDocuments((S,)))
    assert isinstance(found, DocumentsFound)
    assert found.documents[0] is not None
    assert sum(amount for _, amount in found.documents[0]["buckets"]) == 9


def test_what_was_seen_later_than_now_takes_a_commit() -> None:
    now = NOW
    store = Memory(lambda: now)
    again = charge(S, 1, False, 0, None)
    store.run(Commit("00a0-1", "ann", (again,), 50_000, 10**12))
    now = NOW + 400
    store.run(Cancel("00a0-1", "ann", (S,)))
    now = NOW + 300
    commit = Commit("00a0-2", "ann", (again,), 50_000, 10**12)
    store.run(commit)
    now = NOW + 350
    assert store.charge(commit, commit.keep) is None
    now = NOW + 400
    assert isinstance(store.charge(commit, commit.keep), Done)


sessions = st.sampled_from(["session:a:1", "session:a:2"])
labels = st.lists(st.sampled_from(["seen", "sent"]), max_size=2).map(tuple)
in_sessions = st.one_of(
    st.builds(OpenSession, sessions, st.just("a"), st.sampled_from(["ann", "bob"]), st.sampled_from([1_000, 10**9])),
    st.builds(
        Label, sessions, st.sampled_from(["a", "b"]), st.sampled_from(["ann", "bob"]), add=labels, remove=labels,
        completed=st.sampled_from(["", '["call", "send"]', '["call", "read"]']), since=st.sampled_from([0, NOW + 5]),
    ),
    st.builds(
        ReadSession, sessions, st.just("a"), st.sampled_from(["ann", "bob"]), st.just(10**9),
        attempted=st.sampled_from(["", '["call", "send"]']), opens=st.booleans(),
    ),
)  # fmt: skip


@given(st.lists(st.tuples(in_sessions, times), max_size=30))
def test_a_store_keeps_sessions_as_the_specification_does(steps: list[tuple[Any, int]]) -> None:
    now = NOW
    store = Memory(lambda: now)
    documents: dict[str, Any] = {}
    for operation, by in steps:
        now += by
        applied = apply(operation, {operation.key: documents.get(operation.key)}, now)
        documents |= {key: document for key, (document, _) in applied.writes.items()}
        before = {key: repr(document) for key, document in documents.items()}
        assert store.run(operation) == applied.outcome
        assert {key: repr(document) for key, document in documents.items()} == before
        assert all(store.run(ReadDocuments((key,))).documents == (document,) for key, document in documents.items())


@pytest.mark.parametrize("full", [False, True])
def test_a_session_counts_no_more_calls_than_it_holds(full: bool) -> None:
    store = Memory(lambda: NOW)
    store.run(OpenSession("session:a:1", "a", "ann", 10**9))
    outcomes = [
        store.run(Label("session:a:1", "a", "ann", completed=f"call {number}")) for number in range(MAX_CALLS + full)
    ]
    assert isinstance(outcomes[-1], Rejected if full else Done)


def test_the_fast_way_knows_all_that_a_commit_can_ask() -> None:
    """Whoever adds to a commit says in `operations.plain` whether it is plain with that, and then here."""
    assert Commit.__struct_fields__ == (
        "id", "owner", "charges", "lease", "keep", "session", "once", "body", "memo", "approval", "held",
        "elsewhere",
    )  # fmt: skip
    assert Charge.__struct_fields__ == (
        "meter", "rule", "by", "window", "ceiling", "amount", "block_for", "advisory", "share",
    )  # fmt: skip
