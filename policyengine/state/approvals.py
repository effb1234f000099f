"""The states of a request for approval, and whether an approval covers what is about to run.

Pure, and the specification of every store; `stores/approvals.lua` does the same in Redis. A ticket is pending until
enough different people have approved what each rule demands, one person has rejected it, it is cancelled, or its time
is over. Those states are final; an approval can only be revoked. The requester, and agents that act for the requester,
never decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from policyengine.state import approval_operations as said
from policyengine.state.approval_operations import (
    ApprovalOperation,
    CloseTicket,
    Consume,
    DecideTicket,
    Enter,
    Keep,
    OpenTicket,
    TellTicket,
    Ticket,
)

# The most unfinished requests of one tenant.
MAX_OPEN = 1_000
# The most of one requester, so that nobody uses up the room of all others.
MAX_MINE = 100

# How long a ticket stays readable after its last change, so that a retry finds it: 24 hours and more.
KEPT = 35 * 86_400 * 1_000_000

# By key: the new document, and the time from which it may be forgotten.
Writes = dict[str, tuple[Mapping[str, Any] | None, int]]
Documents = Mapping[str, Mapping[str, Any] | None]


def apply(asked: ApprovalOperation, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    """The document to answer with, or the reason for a rejection; and what to write."""
    match asked:
        case OpenTicket():
            return _open(asked, documents, now)
        case DecideTicket():
            return _decide(asked, documents, now)
        case CloseTicket():
            return _close(asked, documents, now)
        case TellTicket():
            return _tell(asked, documents, now)
        case Enter():
            entered = _entered(documents[asked.key], asked.name, now + asked.life, now)
            return entered, {asked.key: (entered, _latest(entered, now))}
        case Keep():
            kept = documents[asked.key] or {"text": asked.text}
            return kept, {asked.key: (kept, now + asked.life)}
    assert_never(asked)


def state_of(ticket: Ticket, now: int) -> str:
    """The state of a ticket. Its expiry need not be written down."""
    return "expired" if ticket["state"] == "pending" and ticket["expires"] <= now else str(ticket["state"])


def consumed(asked: Consume, ticket: Ticket | None, now: int) -> Ticket | str:
    """The ticket after one use, or why it does not cover this request."""
    if ticket is None or ticket["secret"] != asked.secret or ticket["tenant"] != asked.tenant:
        return said.UNVERIFIABLE
    if ticket["scope"] != asked.scope:
        return said.OUT_OF_SCOPE
    void = ticket["revoked"] or ticket["until"] <= now or ticket["created"] < asked.since
    if ticket["state"] != "approved" or void or ticket["used"] >= ticket["uses"]:
        return said.EXPIRED
    covered = set(asked.rules) <= {need["same"] for need in ticket["needs"]}
    if ticket["revision"] == asked.revision:
        # An attribute that a rule reads has changed, and one more rule demands an approval.
        return {**ticket, "used": ticket["used"] + 1} if covered else said.OUT_OF_SCOPE
    if not (ticket["any_revision"] and covered):
        return said.EXPIRED
    return {**ticket, "used": ticket["used"] + 1}


def ends(ticket: Ticket) -> int:
    """The time from which a ticket may be forgotten."""
    return int(max(ticket["expires"], ticket["until"], ticket["decided"])) + KEPT


# ---- the operations ----


def _open(asked: OpenTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    if asked.once and (earlier := documents[asked.once]) is not None:
        # A retry with the same body gets its first ticket.
        return earlier, {}
    if asked.token and (spent := documents[asked.token]) is not None and spent["until"] > now:
        return said.REPLAYED, {}
    index = documents[asked.index]
    lines, whose = (index or {"open": {}})["open"], (index or {}).get("whose", {})
    alive = [name for name, until in lines.items() if until > now]
    mine = sum(whose.get(name) == asked.ticket["requester"] for name in alive)
    if len(alive) >= MAX_OPEN or mine >= MAX_MINE:
        return said.TOO_MANY, {}
    ticket: Ticket = {
        **asked.ticket,
        "state": "pending",
        "created": now,
        "expires": now + asked.life,
        "decided": 0,
        "until": 0,
        "revoked": 0,
        "used": 0,
        "told": not asked.ticket["callback"],
        "claimed": 0,
    }
    writes: Writes = {asked.key: (ticket, ends(ticket)), asked.index: _line(index, ticket, now)}
    if asked.once:
        writes[asked.once] = {"body": asked.body, "ticket": ticket["id"]}, ends(ticket)
    if asked.token:
        until = now + asked.token_life
        writes[asked.token] = {"ticket": ticket["id"], "until": until}, until
    return ticket, writes


def _decide(asked: DecideTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    ticket = documents[asked.key]
    if ticket is None:
        return said.UNKNOWN_TICKET, {}
    if state_of(ticket, now) != "pending":
        return said.NOT_PENDING, {}
    if asked.who == ticket["requester"] or asked.who in ticket["agents"]:
        return said.SELF, {}
    mine = [need for need in ticket["needs"] if need["rule"] in asked.rules]
    if not mine:
        return said.NOT_ELIGIBLE, {}
    line = {"at": now, "who": asked.who, "by": asked.by, "what": asked.verdict, "why": asked.why}
    ticket = {**ticket, "log": [*ticket["log"], line]}
    if asked.verdict == "reject":
        return _written(asked, {**ticket, "state": "denied", "decided": now}, documents, now)
    if all(asked.who in need["approvers"] for need in mine):
        return said.ALREADY, {}
    needs = [
        {**need, "approvers": [*need["approvers"], asked.who]}
        if need["rule"] in asked.rules and asked.who not in need["approvers"]
        else need
        for need in ticket["needs"]
    ]
    ticket = {**ticket, "needs": needs}
    if all(len(need["approvers"]) >= need["of"] for need in needs):
        within = min(need["within"] for need in needs)
        ticket = {**ticket, "state": "approved", "decided": now, "until": now + within}
    return _written(asked, ticket, documents, now)


def _close(asked: CloseTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    ticket = documents[asked.key]
    if ticket is None:
        return said.UNKNOWN_TICKET, {}
    if asked.owner is not None and asked.owner != ticket["owner"]:
        return said.NOT_OWNER, {}
    state = state_of(ticket, now)
    if state != ("approved" if asked.revoke else "pending"):
        return said.NOT_APPROVED if asked.revoke else said.NOT_PENDING, {}
    what = "revoke" if asked.revoke else "cancel"
    line = {"at": now, "who": asked.who, "by": "", "what": what, "why": asked.why}
    changed = {"revoked": now} if asked.revoke else {"state": "cancelled", "decided": now}
    return _written(asked, {**ticket, **changed, "log": [*ticket["log"], line]}, documents, now)


def _tell(asked: TellTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    ticket = documents[asked.key]
    if ticket is None:
        return said.UNKNOWN_TICKET, {}
    if ticket["told"] or state_of(ticket, now) == "pending" or (asked.claim and ticket["claimed"] > now):
        return said.TOLD, {}
    changed = {"claimed": now + asked.claim} if asked.claim else {"told": True}
    return _written(asked, {**ticket, **changed}, documents, now)


def _written(
    asked: DecideTicket | CloseTicket | TellTicket, ticket: Ticket, documents: Documents, now: int
) -> tuple[Ticket, Writes]:
    return ticket, {asked.key: (ticket, ends(ticket)), asked.index: _line(documents[asked.index], ticket, now)}


# ---- indexes ----


def _line(index: Mapping[str, Any] | None, ticket: Ticket, now: int) -> tuple[Mapping[str, Any], int]:
    """The index with the line of a ticket, which stays while it is pending or its end has to be reported."""
    if not ticket["told"]:
        until = ends(ticket)
    else:
        until = ticket["expires"] if ticket["state"] == "pending" else 0
    made = _entered(index, ticket["id"], until, now)
    whose = {**(index or {}).get("whose", {}), ticket["id"]: ticket["requester"]}
    if kept := {name: who for name, who in whose.items() if name in made["open"]}:
        made = {**made, "whose": kept}
    return made, _latest(made, now)


def _entered(index: Mapping[str, Any] | None, name: str, until: int, now: int) -> Mapping[str, Any]:
    """The index with one more line, without expired ones."""
    lines = {**(index or {"open": {}})["open"], name: until}
    return {"open": {name: until for name, until in lines.items() if until > now}}


def _latest(index: Mapping[str, Any], now: int) -> int:
    return max((int(until) for until in index["open"].values()), default=now)
