"""The law of the straight way: it answers as the whole way does."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.state.grant import Grant
from policyengine.state.operations import Commit, Operation, Outcome
from policyengine.state.store import StoreError
from policyengine.state.stores.memory import Memory
from tests.state.test_compiled_charges import ENTITIES, POLICIES, contexts, models, principals

NOW = 1_800_000_000_000_000


class Away(Memory):
    def run(self, operation: Operation) -> Outcome:
        if isinstance(operation, Commit):
            raise StoreError("nobody answers")
        return super().run(operation)


def told(grant: Grant) -> Any:
    limits = [(limit.rule, limit.used, limit.ceiling, limit.resets_at) for limit in grant.limits]
    times = grant.retry_after, grant.expires_at, grant.metered, bool(grant.id)
    return grant.decision, limits, grant.denied_by, times


# All limits, or one of them.
some = st.sampled_from([None, None, "by_principal", "by_two", "by_tenant", "in_flight"])


@given(st.lists(st.tuples(principals, models, contexts), min_size=1, max_size=6), st.booleans(), st.booleans(), some)
def test_the_straight_way_is_the_whole_way(
    asked: list[tuple[Any, Any, Any]], lenient: bool, gone: bool, only: str | None
) -> None:
    policies = POLICIES.replace("at most 10 ", "at most 2 ")
    if only is not None:
        base, *limits = policies.split("limit ")
        policies = base + "".join(f"limit {limit}" for limit in limits if limit.startswith(f"{only}:"))
    if lenient:
        policies = policies.replace("by principal\n", "by principal on failure allow\n")
    with pytest.MonkeyPatch.context() as patch:
        for room in ("authorize", "fast_authorize"):
            patch.setattr(f"policyengine.state.{room}.time_ns", lambda: NOW * 1_000)
        make = Away if gone else Memory
        straight, whole = (Engine.from_text(policies, entities=ENTITIES, state=make(lambda: NOW)) for _ in range(2))
        for principal, model, context in asked:
            for _ in range(3):
                request = {"principal": principal, "action": "invoke", "resource": model, "context": context}
                expected = whole.authorize(**request, accepts=lambda decision: decision)
                assert told(straight.authorize(**request)) == told(expected)


IN_SESSION = """use ai
tool send(to: String)
permit calls: call on Tool for User
permit says: release on Output for User
forbid secret: call on Tool::"send" when tool.args.to == "eve"
"""
# What concerns the store, in one way each.
RECORDED = (
    'label sent: call on Tool::"send"',
    'forbid again: call on Tool::"send" when "sent" in session.labels',
    'forbid often: call on Tool::"send" when any c in session.calls: c.allowed > 1',
    'limit few: call on Tool::"send" at most 2 requests per 1h by principal',
    'require person: call on Tool::"send" when tool.args.to == "bob" approval(by: Group::"finance")',
    'forbid tried: call on Tool::"send" when tool.args.to == "bob" on match log',
    'require cleans: call on Tool redact(["email"])',
    "forbid odd: call on Tool when context.cost.tokens > 1",
)
calls: st.SearchStrategy[tuple[str, Any, Any, bool]] = st.tuples(
    st.sampled_from(["call", "release", "unheard_of"]),
    st.sampled_from([{"type": "Tool", "id": "send", "args": {"to": to}} for to in ("bob", "eve", "x", 1)]
                    + [{"type": "Tool", "id": "other", "args": {}}, {"type": "Output", "id": "o"}, None]),
    st.sampled_from([None, {}, {"cost": {"tokens": 2}}, {"cost": 1}, {"session": {}}, {"approval": "x"}, {"x": 1}, []]),
    st.booleans(),
)  # fmt: skip


@given(st.lists(st.sampled_from(RECORDED), unique=True), st.lists(calls, min_size=1, max_size=5), st.booleans())
def test_what_concerns_no_store_is_answered_as_the_whole_way_does(
    rules: list[str], asked: list[Any], blocked: bool
) -> None:
    policies = "\n".join([IN_SESSION, *rules])
    ann = {"type": "User", "id": "ann", "tenant": "acme"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("policyengine.state.authorize.time_ns", lambda: NOW * 1_000)
        straight, whole = (Engine.from_text(policies, state=Memory(lambda: NOW)) for _ in range(2))
        for engine in (straight, whole):
            engine.sessions.open(ann, id="s")
            if blocked:
                engine.blocks.block("session", "s", by="admin", why="why")
        for action, resource, context, opens in asked:
            request = {"principal": ann, "action": action, "resource": resource, "context": context}
            request |= {"session": "s", "opens": opens}
            expected = whole.authorize(**request, accepts=lambda decision: decision)
            assert told(straight.authorize(**request)) == told(expected)
            ours, theirs = straight.sessions.read("s", ann), whole.sessions.read("s", ann)
            assert (ours.labels, ours.calls) == (theirs.labels, theirs.calls)


WEIGHED = """use ai
extend User { weight: Int }
permit p: invoke on Model for User
limit l: invoke on Model for User at most 1000 of cost.tokens * principal.weight per 1m by principal
"""


@pytest.mark.parametrize("whole", [False, True])
def test_a_request_that_its_host_changes_is_settled_as_it_was(whole: bool) -> None:
    engine = Engine.from_text(WEIGHED)
    principal, context = {"type": "User", "id": "ann", "weight": 2}, {"cost": {"tokens": 10, "usd": 0.1}}
    accepts = (lambda decision: decision) if whole else None
    request: dict[str, Any] = {"action": "invoke", "resource": {"type": "Model", "id": "m"}, "accepts": accepts}
    for used in (20, 40, 60):
        grant = engine.authorize(principal=principal, context=context, **request)
        assert [limit.used for limit in grant.limits] == [used]
        principal["weight"], context["cost"] = 0, {"tokens": 0, "usd": 0.0}
        grant.settle({"usd": 0.2})
        principal["weight"], context["cost"] = 2, {"tokens": 10, "usd": 0.1}


def test_threads_pass_no_limit_by() -> None:
    policies = (
        "use ai\npermit all: invoke on Model\nlimit few: invoke on Model at most 300 requests per 1h by principal\n"
    )
    engine = Engine.from_text(policies)
    request = {"principal": {"type": "User", "id": "u"}, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            grants = list(pool.map(lambda _: engine.authorize(**request), range(600)))
    finally:
        sys.setswitchinterval(interval)
    granted = [grant for grant in grants if grant.allowed]
    assert sorted(grant.limits[0].used for grant in granted) == list(range(1, 301))
    assert {key for key, _ in engine.store.survey("lease")} == {f"lease:{grant.id}" for grant in granted}
