"""The law of all that is remembered: limits, reservations, sessions, approvals and blocks, in any order, with reloads
between, are on every store what a short account of what happened says."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from policyengine import Engine
from policyengine.state.grant import Grant, SettleError
from policyengine.state.sessions import ENDED, LIFE
from tests.state.stores import STORES
from tests.support.examples import few

POLICIES = """
module m
use ai
permit all: invoke on Model
permit tools: call on Tool
limit tokens: invoke on Model
  at most {ceiling} of cost.tokens per 1h by principal
label seen: call on Tool::"browse"
forbid out: call on Tool::"send"
  when "seen" in session.labels
require person: call on Tool::"pay"
  approval(by: Group::"lead", within: 1h)
"""
SECOND, MINUTE, LEASE = 1_000_000, 60_000_000, 600
BOSS = {"type": "User", "id": "boss", "parents": [{"type": "Group", "id": "lead"}]}
people, sessions = st.sampled_from(["ann", "bob"]), st.sampled_from(["s", "t"])
amounts, ceilings = st.integers(0, 4), st.sampled_from([4, 8])
blocked = st.sampled_from([("principal", "ann"), ("tool", "send"), ("session", "s"), ("model", "m")])


@dataclass
class Held:
    """A reservation: what counts of it, and in which bucket."""

    who: str
    bucket: int
    tokens: int
    ends: int
    grant: Grant
    open: bool = True
    extra: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Seen:
    who: str
    ends: int
    labelled: bool = False


class Everything(RuleBasedStateMachine):
    opening = STORES["memory"]

    def __init__(self) -> None:
        super().__init__()
        self.now, self.ceiling = 10**15, 4
        self.held: list[Held] = []
        self.seen: dict[str, Seen] = {}
        self.blocks: set[tuple[str, str]] = set()
        self.approvals: list[tuple[str, str, int, int]] = []
        self.stack = ExitStack()
        self.store = self.stack.enter_context(type(self).opening(lambda: self.now))
        self.engine = self.loaded()

    def teardown(self) -> None:
        self.engine.close()
        self.stack.close()

    def loaded(self) -> Engine:
        return Engine.from_text(POLICIES.format(ceiling=self.ceiling), state=self.store)

    @rule(by=st.sampled_from([1, 59, 60, 300, 600, 3_599, 3_660, 86_399, 86_400, 8 * 86_400]))
    def later(self, by: int) -> None:
        self.now += by * SECOND

    @rule(ceiling=ceilings)
    def reload(self, ceiling: int) -> None:
        self.engine.close()
        self.ceiling = ceiling
        self.engine = self.loaded()

    @rule(what=blocked)
    def block(self, what: tuple[str, str]) -> None:
        self.engine.blocks.block(*what)
        self.blocks.add(what)

    @rule(what=blocked)
    def unblock(self, what: tuple[str, str]) -> None:
        self.engine.blocks.unblock(*what)
        self.blocks.discard(what)

    def used(self, who: str, at: int) -> int:
        counted = [each for held in self.held if held.who == who for each in ((held.bucket, held.tokens), *held.extra)]
        return sum(tokens for bucket, tokens in counted if at // MINUTE - bucket <= 60)

    @rule(who=people, tokens=amounts)
    def reserve(self, who: str, tokens: int) -> None:
        grant = self.engine.authorize(
            principal={"type": "User", "id": who}, action="invoke", resource={"type": "Model", "id": "m"},
            context={"cost": {"tokens": tokens}}, lease=LEASE,
        )  # fmt: skip
        stopped = bool({("principal", who), ("model", "m")} & self.blocks)
        room = self.used(who, self.now) + tokens <= self.ceiling
        assert grant.allowed == (room and not stopped)
        assert grant.denied_by == (() if room or stopped else ("m.tokens",))
        if grant.allowed:
            self.held.append(Held(who, self.now // MINUTE, tokens, self.now + LEASE * SECOND, grant))
            assert grant.limits[0].used == self.used(who, self.now)
        elif not stopped and grant.retry_after is not None:
            # One second less is not enough.
            then = self.now + grant.retry_after * SECOND
            assert self.used(who, then) + tokens <= self.ceiling < self.used(who, then - SECOND) + tokens

    def ended(self, held: Held, what: Any) -> bool:
        try:
            what(held.grant)
        except SettleError:
            return False
        return True

    @rule(data=st.data(), tokens=amounts)
    def settle(self, data: st.DataObject, tokens: int) -> None:
        open_ = [held for held in self.held if held.open]
        if open_:
            held = data.draw(st.sampled_from(open_))
            assert self.ended(held, lambda grant: grant.settle({"tokens": tokens}))
            held.open = False
            # What is too much goes from where it was counted; what came on top counts from now on.
            held.extra = [(self.now // MINUTE, max(0, tokens - held.tokens))]
            held.tokens = min(held.tokens, tokens)

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.held:
            held = data.draw(st.sampled_from(self.held))
            done = self.ended(held, lambda grant: grant.cancel())
            assert done == (held.open and self.now < held.ends)
            if done:
                held.open, held.tokens = False, 0

    def call(self, who: str, tool: str, session: str | None = None, approval: str | None = None) -> Grant:
        return self.engine.authorize(
            principal={"type": "User", "id": who}, action="call", resource={"type": "Tool", "id": tool, "args": {}},
            session=session, approval=approval,
        )  # fmt: skip

    def touched(self, who: str, session: str) -> Seen | None:
        """The session, used once more, if it is theirs."""
        known = self.seen.get(session)
        if known is None or self.now >= known.ends + ENDED:
            known = Seen(who, self.now + LIFE)
        if known.who != who or self.now >= known.ends or ("session", session) in self.blocks:
            return None
        known.ends = self.now + LIFE
        self.seen[session] = known
        return known

    @rule(who=people, session=sessions, tool=st.sampled_from(["browse", "send"]))
    def use(self, who: str, session: str, tool: str) -> None:
        grant, known = self.call(who, tool, session), self.touched(who, session)
        allowed = known is not None and not {("principal", who), ("tool", tool)} & self.blocks
        allowed = allowed and not (tool == "send" and known is not None and known.labelled)
        assert grant.allowed == allowed
        if known is not None and allowed and tool == "browse":
            known.labelled = True

    @rule(who=people)
    def approve(self, who: str) -> None:
        asked, known = self.call(who, "pay", "p" + who).access_request, self.touched(who, "p" + who)
        assert (asked is not None) == (known is not None and ("principal", who) not in self.blocks)
        if asked is not None:
            task = self.engine.approvals.approve(self.engine.approvals.request(asked).id, BOSS)
            assert task.approval is not None
            self.approvals.append((task.approval, who, self.now + 3_600 * SECOND, self.ceiling))

    @rule(data=st.data(), who=people)
    def pay(self, data: st.DataObject, who: str) -> None:
        if self.approvals:
            one = data.draw(st.sampled_from(self.approvals))
            id_, whose, until, ceiling = one
            granted, known = self.call(who, "pay", "p" + who, id_), self.touched(who, "p" + who)
            # Once, in time, and under the policies that were approved under.
            good = who == whose and self.now < until and ceiling == self.ceiling
            assert granted.allowed == (good and known is not None and ("principal", who) not in self.blocks)
            if granted.allowed:
                self.approvals.remove(one)


@pytest.mark.parametrize("name", STORES)
def test_everything_together_is_what_happened(name: str) -> None:
    machine = type("Machine", (Everything,), {"opening": staticmethod(STORES[name])})
    run_state_machine_as_test(machine, settings=few(20))
