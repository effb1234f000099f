"""The law of approvals: under any interleaving, every store says what a list of what happened says."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from policyengine.state import approval_operations as reasons
from policyengine.state.approval_operations import CloseTicket, Consume, DecideTicket, OpenTicket, TellTicket
from policyengine.state.approvals import MAX_MINE
from policyengine.state.operations import Charge, Commit, DocumentsFound, Done, ReadDocuments, Refused, Rejected
from policyengine.state.shard_places import place
from policyengine.state.store import Store
from policyengine.state.windows import Concurrent
from tests.state.stores import STORES
from tests.support.examples import few

PEOPLE = ("User::ann", "User::bob", "User::cleo", "User::dan", "Agent::bot")
RULES = ("one", "two")
LIFE, KEEP = 100, 10**9
# Where the keys of the tenant are, in a store of several parts.
HERE = place("acme")
WITHIN = {"one": 50, "two": 30}


@dataclass
class Ticket:
    """What has happened to one request for approval."""

    number: int
    asked: int
    of: dict[str, int]
    uses: int
    any_revision: bool
    scope: str
    yes: list[tuple[int, str, str]] = field(default_factory=list)
    ended: tuple[int, str] | None = None
    until: int = 0
    used: int = 0
    revoked: bool = False
    told: bool = False
    claimed: int = 0

    def state(self, now: int) -> str:
        if self.ended is not None:
            return self.ended[1]
        return "pending" if now < self.asked + LIFE else "expired"


def document(ticket: Ticket) -> dict[str, Any]:
    needs = [
        {"rule": name, "same": name, "by": "Group::finance", "of": of, "within": WITHIN[name], "approvers": []}
        for name, of in ticket.of.items()
    ]
    return {
        "id": f"t{ticket.number}", "tenant": "acme", "secret": f"s{ticket.number}", "owner": "app",
        "requester": "User::ann", "agents": ["Agent::bot"], "scope": ticket.scope, "revision": "r1",
        "any_revision": ticket.any_revision, "uses": ticket.uses, "needs": needs, "log": [], "callback": "https",
    }  # fmt: skip


class Tickets(RuleBasedStateMachine):
    opening = STORES["memory"]
    asynchronous = False

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.tickets: list[Ticket] = []
        self.bodies: dict[str, tuple[str, int]] = {}
        self.tokens: dict[str, int] = {}
        self.stack = ExitStack()
        self.loop = self.stack.enter_context(asyncio.Runner())
        self.store: Store = self.stack.enter_context(type(self).opening(lambda: self.now))

    def teardown(self) -> None:
        self.stack.close()

    def run(self, operation: Any) -> Any:
        if self.asynchronous:
            return self.loop.run(self.store.run_async(operation))
        return self.store.run(operation)

    @initialize()
    def one(self) -> None:
        self.open({"one": 1}, 1, False, "s", "", "", "")

    @rule(
        of=st.sampled_from([{"one": 1}, {"one": 2}, {"one": 1, "two": 2}, {"two": 1}]),
        uses=st.sampled_from([1, 2]),
        any_revision=st.booleans(),
        scope=st.sampled_from(["s", "s2"]),
        once=st.sampled_from(["", "", "o1", "o2"]),
        body=st.sampled_from(["a", "b"]),
        token=st.sampled_from(["", "", "t1"]),
    )
    def open(
        self, of: dict[str, int], uses: int, any_revision: bool, scope: str, once: str, body: str, token: str
    ) -> None:
        ticket = Ticket(len(self.tickets), self.now, of, uses, any_revision, scope)
        key = f"approval:acme:{ticket.number}"
        asked = OpenTicket(
            key, "approvals:acme", document(ticket), LIFE, once and f"once:{once}", body, token and f"k:{token}", 40
        )
        outcome = self.run(asked)
        if once and once in self.bodies:
            earlier, number = self.bodies[once]
            assert outcome == DocumentsFound(self.now, ({"body": earlier, "ticket": f"t{number}"},))
            return
        if token and self.now < self.tokens.get(token, 0):
            assert outcome == Rejected(reasons.REPLAYED)
            return
        assert isinstance(outcome, DocumentsFound)
        assert outcome.documents[0]["state"] == "pending"
        self.tickets.append(ticket)
        if once:
            self.bodies[once] = body, ticket.number
        if token:
            self.tokens[token] = self.now + 40

    @rule(by=st.sampled_from([0, 1, 20, 29, 30, 49, 50, 99, 100]))
    def wait(self, by: int) -> None:
        self.now += by

    @rule(
        data=st.data(),
        who=st.sampled_from(PEOPLE),
        rules=st.sampled_from([RULES, ("one",), ("two",), ()]),
        yes=st.sampled_from([True, True, True, False]),
    )
    def decide(self, data: st.DataObject, who: str, rules: tuple[str, ...], yes: bool) -> None:
        ticket = self.any(data)
        asked = DecideTicket(self.key(ticket), "approvals:acme", "approve" if yes else "reject", who, rules)
        outcome = self.run(asked)
        mine = [name for name in ticket.of if name in rules]
        given = {(who, name) for _, who, name in ticket.yes}
        if ticket.state(self.now) != "pending":
            assert outcome == Rejected(reasons.NOT_PENDING)
        elif who in ("User::ann", "Agent::bot"):
            assert outcome == Rejected(reasons.SELF)
        elif not mine:
            assert outcome == Rejected(reasons.NOT_ELIGIBLE)
        elif not yes:
            ticket.ended = self.now, "denied"
        elif all((who, name) in given for name in mine):
            assert outcome == Rejected(reasons.ALREADY)
        else:
            ticket.yes += [(self.now, who, name) for name in mine if (who, name) not in given]
            if all(len([1 for _, _, rule in ticket.yes if rule == name]) >= of for name, of in ticket.of.items()):
                ticket.ended = self.now, "approved"
                ticket.until = self.now + min(WITHIN[name] for name in ticket.of)
        if isinstance(outcome, DocumentsFound):
            self.same(ticket, outcome.documents[0])

    @rule(data=st.data(), owner=st.sampled_from(["app", "other", None]), revoke=st.booleans())
    def close(self, data: st.DataObject, owner: str | None, revoke: bool) -> None:
        ticket = self.any(data)
        outcome = self.run(CloseTicket(self.key(ticket), "approvals:acme", owner, "who", "", revoke))
        if owner == "other":
            assert outcome == Rejected(reasons.NOT_OWNER)
        elif revoke and ticket.state(self.now) == "approved":
            ticket.revoked = True
            self.same(ticket, outcome.documents[0])
        elif not revoke and ticket.state(self.now) == "pending":
            ticket.ended = self.now, "cancelled"
            self.same(ticket, outcome.documents[0])
        else:
            assert outcome == Rejected(reasons.NOT_APPROVED if revoke else reasons.NOT_PENDING)

    @rule(
        data=st.data(),
        scope=st.sampled_from(["s", "s", "s2"]),
        revision=st.sampled_from(["r1", "r1", "r2"]),
        rules=st.sampled_from([("one",), ("two",), RULES]),
        secret=st.sampled_from([True, True, True, False]),
        tenant=st.sampled_from(["acme", "acme", "acme", "evil"]),
        room=st.booleans(),
    )
    def use(
        self,
        data: st.DataObject,
        scope: str,
        revision: str,
        rules: tuple[str, ...],
        secret: bool,
        tenant: str,
        room: bool,
    ) -> None:
        ticket = self.any(data)
        consume = Consume(
            self.key(ticket), f"s{ticket.number}" if secret else "guess", tenant, scope, revision, rules
        )  # fmt: skip
        charge = Charge(f"meter:flight:{HERE}", "flight", (), Concurrent(), 10**6 if room else 0, 1)
        outcome = self.run(Commit(f"{HERE}c", "app", (charge,), 0, KEEP, approval=consume))
        if not secret or tenant != "acme":
            assert outcome == Rejected(reasons.UNVERIFIABLE)
        elif scope != ticket.scope:
            assert outcome == Rejected(reasons.OUT_OF_SCOPE)
        elif (
            ticket.state(self.now) != "approved"
            or ticket.revoked
            or self.now >= ticket.until
            or ticket.used == ticket.uses
            or (revision != "r1" and not (ticket.any_revision and set(rules) <= ticket.of.keys()))
        ):
            assert outcome == Rejected(reasons.EXPIRED)
        elif not set(rules) <= ticket.of.keys():
            assert outcome == Rejected(reasons.OUT_OF_SCOPE)
        elif not room:
            # A limit without room uses nothing.
            assert isinstance(outcome, Refused)
        else:
            assert isinstance(outcome, Done)
            ticket.used += 1

    @rule(data=st.data(), claim=st.sampled_from([0, 25]))
    def tell(self, data: st.DataObject, claim: int) -> None:
        ticket = self.any(data)
        outcome = self.run(TellTicket(self.key(ticket), "approvals:acme", claim))
        if ticket.told or ticket.state(self.now) == "pending" or (claim and self.now < ticket.claimed):
            assert outcome == Rejected(reasons.TOLD)
        elif claim:
            ticket.claimed = self.now + claim
        else:
            ticket.told = True

    @rule()
    def look(self) -> None:
        keys = tuple(self.key(ticket) for ticket in self.tickets)
        found = self.run(ReadDocuments((*keys, "approvals:acme", "approval:acme:none"))).documents
        for ticket, document in zip(self.tickets, found, strict=False):
            self.same(ticket, document)
        listed = {f"t{ticket.number}" for ticket in self.tickets if not ticket.told}
        assert (set(found[-2]["open"]) if found[-2] else set()) == listed
        assert found[-1] is None

    @rule(who=st.sampled_from(PEOPLE))
    def nobody_knows_another(self, who: str) -> None:
        assert self.run(DecideTicket("approval:acme:none", "approvals:acme", "approve", who, RULES)) == Rejected(
            reasons.UNKNOWN_TICKET
        )

    def any(self, data: st.DataObject) -> Ticket:
        # Most of what is worth trying happens to the latest one.
        return data.draw(st.sampled_from([self.tickets[-1], *self.tickets]))

    @staticmethod
    def key(ticket: Ticket) -> str:
        return f"approval:acme:{ticket.number}"

    @staticmethod
    def same(ticket: Ticket, document: Any) -> None:
        ended = ticket.ended or (0, "pending")
        yes = {need["rule"]: need["approvers"] for need in document["needs"]}
        assert (document["decided"], document["state"], document["until"]) == (*ended, ticket.until)
        assert (bool(document["revoked"]), document["told"]) == (ticket.revoked, ticket.told)
        assert document["used"] == ticket.used
        assert yes == {name: [who for _, who, rule in ticket.yes if rule == name] for name in ticket.of}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", STORES)
def test_every_store_is_what_happened(name: str, asynchronous: bool) -> None:
    machine = type("Machine", (Tickets,), {"opening": staticmethod(STORES[name]), "asynchronous": asynchronous})
    run_state_machine_as_test(machine, settings=few(10))


@pytest.mark.parametrize("name", STORES)
def test_one_requester_does_not_take_the_room_of_all(name: str) -> None:
    now = 1_000_000

    def asked(number: int, who: str) -> OpenTicket:
        ticket = {**document(Ticket(number, now, {"one": 1}, 1, False, "s")), "requester": who, "callback": ""}
        return OpenTicket(f"approval:acme:{number}", "approvals:acme", ticket, LIFE)

    with STORES[name](lambda: now) as store:
        for number in range(MAX_MINE):
            assert isinstance(store.run(asked(number, "User::ann")), DocumentsFound)
        assert store.run(asked(1_000, "User::ann")) == Rejected(reasons.TOO_MANY)
        assert isinstance(store.run(asked(1_001, "User::bob")), DocumentsFound)
        store.run(CloseTicket("approval:acme:0", "approvals:acme", None, "User::ann"))
        assert isinstance(store.run(asked(1_002, "User::ann")), DocumentsFound)
        assert store.run(asked(1_003, "User::ann")) == Rejected(reasons.TOO_MANY)
        now += LIFE
        assert isinstance(store.run(asked(1_004, "User::ann")), DocumentsFound)
