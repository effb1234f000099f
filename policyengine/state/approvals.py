"""The states of a request for approval, and whether an approval covers what is about to run.

Pure, and the specification of every store; `stores/approvals.lua` does the same in Redis. A ticket is pending until
enough different people have approved what each rule demands, one person has rejected it, it is cancelled, or its time
is over. Those states are final; an approval can only be revoked. The requester, and agents that act for the requester,
never decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from policyengine.state import approval_operations as reasons
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


def apply(operation: ApprovalOperation, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    """The document to answer with, or the reason for a rejection; and what to write."""
    match operation:
        case OpenTicket():
            return _open(operation, documents, now)
        case DecideTicket():
            return _decide(operation, documents, now)
        case CloseTicket():
            return _close(operation, documents, now)
        case TellTicket():
            return _tell(operation, documents, now)
        case Enter():
            entered = _entered(documents[operation.key], operation.name, now + operation.life, now)
            return entered, {operation.key: (entered, _latest(entered, now))}
        case Keep():
            kept = documents[operation.key] or {"text": operation.text}
            return kept, {operation.key: (kept, now + operation.life)}
    assert_never(operation)


def state_of(ticket: Ticket, now: int) -> str:
    """The state of a ticket. Its expiry need not be written down."""
    return "expired" if ticket["state"] == "pending" and ticket["expires"] <= now else str(ticket["state"])


def consumed(consume: Consume, ticket: Ticket | None, now: int) -> Ticket | str:
    """The ticket after one use, or why it does not cover this request."""
    if ticket is None or ticket["secret"] != consume.secret or ticket["tenant"] != consume.tenant:
        return reasons.UNVERIFIABLE
    if ticket["scope"] != consume.scope:
        return reasons.OUT_OF_SCOPE
    void = ticket["revoked"] or ticket["until"] <= now or ticket["created"] < consume.since
    if ticket["state"] != "approved" or void or ticket["used"] >= ticket["uses"]:
        return reasons.EXPIRED
    covered = set(consume.rules) <= {need["same"] for need in ticket["needs"]}
    if ticket["revision"] == consume.revision:
        # An attribute that a rule reads has changed, and one more rule demands an approval.
        return {**ticket, "used": ticket["used"] + 1} if covered else reasons.OUT_OF_SCOPE
    if not (ticket["any_revision"] and covered):
        return reasons.EXPIRED
    return {**ticket, "used": ticket["used"] + 1}


def ends(ticket: Ticket) -> int:
    """The time from which a ticket may be forgotten."""
    return int(max(ticket["expires"], ticket["until"], ticket["decided"])) + KEPT


# ---- the operations ----


def _open(opening: OpenTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    if opening.once and (earlier := documents[opening.once]) is not None:
        # A retry with the same body gets its first ticket.
        return earlier, {}
    if opening.token and (used_token := documents[opening.token]) is not None and used_token["until"] > now:
        return reasons.REPLAYED, {}
    index = documents[opening.index]
    lines, requesters = (index or {"open": {}})["open"], (index or {}).get("whose", {})
    alive = [name for name, until in lines.items() if until > now]
    own_requests = sum(requesters.get(name) == opening.ticket["requester"] for name in alive)
    if len(alive) >= MAX_OPEN or own_requests >= MAX_MINE:
        return reasons.TOO_MANY, {}
    ticket: Ticket = {
        **opening.ticket,
        "state": "pending",
        "created": now,
        "expires": now + opening.life,
        "decided": 0,
        "until": 0,
        "revoked": 0,
        "used": 0,
        "told": not opening.ticket["callback"],
        "claimed": 0,
    }
    writes: Writes = {opening.key: (ticket, ends(ticket)), opening.index: _line(index, ticket, now)}
    if opening.once:
        writes[opening.once] = {"body": opening.body, "ticket": ticket["id"]}, ends(ticket)
    if opening.token:
        until = now + opening.token_life
        writes[opening.token] = {"ticket": ticket["id"], "until": until}, until
    return ticket, writes


def _decide(deciding: DecideTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    ticket = documents[deciding.key]
    if ticket is None:
        return reasons.UNKNOWN_TICKET, {}
    if state_of(ticket, now) != "pending":
        return reasons.NOT_PENDING, {}
    if deciding.who == ticket["requester"] or deciding.who in ticket["agents"]:
        return reasons.SELF, {}
    own_needs = [need for need in ticket["needs"] if need["rule"] in deciding.rules]
    if not own_needs:
        return reasons.NOT_ELIGIBLE, {}
    line = {"at": now, "who": deciding.who, "by": deciding.by, "what": deciding.verdict, "why": deciding.why}
    ticket = {**ticket, "log": [*ticket["log"], line]}
    if deciding.verdict == "reject":
        return _written(deciding, {**ticket, "state": "denied", "decided": now}, documents, now)
    if all(deciding.who in need["approvers"] for need in own_needs):
        return reasons.ALREADY, {}
    needs = [
        {**need, "approvers": [*need["approvers"], deciding.who]}
        if need["rule"] in deciding.rules and deciding.who not in need["approvers"]
        else need
        for need in ticket["needs"]
    ]
    ticket = {**ticket, "needs": needs}
    if all(len(need["approvers"]) >= need["of"] for need in needs):
        within = min(need["within"] for need in needs)
        ticket = {**ticket, "state": "approved", "decided": now, "until": now + within}
    return _written(deciding, ticket, documents, now)


def _close(closing: CloseTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    ticket = documents[closing.key]
    if ticket is None:
        return reasons.UNKNOWN_TICKET, {}
    if closing.owner is not None and closing.owner != ticket["owner"]:
        return reasons.NOT_OWNER, {}
    state = state_of(ticket, now)
    if state != ("approved" if closing.revoke else "pending"):
        return reasons.NOT_APPROVED if closing.revoke else reasons.NOT_PENDING, {}
    what = "revoke" if closing.revoke else "cancel"
    line = {"at": now, "who": closing.who, "by": "", "what": what, "why": closing.why}
    changed = {"revoked": now} if closing.revoke else {"state": "cancelled", "decided": now}
    return _written(closing, {**ticket, **changed, "log": [*ticket["log"], line]}, documents, now)


def _tell(telling: TellTicket, documents: Documents, now: int) -> tuple[Mapping[str, Any] | str, Writes]:
    ticket = documents[telling.key]
    if ticket is None:
        return reasons.UNKNOWN_TICKET, {}
    if ticket["told"] or state_of(ticket, now) == "pending" or (telling.claim and ticket["claimed"] > now):
        return reasons.TOLD, {}
    changed = {"claimed": now + telling.claim} if telling.claim else {"told": True}
    return _written(telling, {**ticket, **changed}, documents, now)


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
