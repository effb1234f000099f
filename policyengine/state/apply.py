"""The effect of an operation: from the documents that it names and the time, to the documents to write and the outcome.

Pure, and the specification of every store. `writes` maps each key to its new document and to the time from which the
document may be forgotten; None removes it. An outcome that is a refusal writes nothing, except what the refusal itself
leaves behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_never

from msgspec import Struct

from policyengine.state import approvals, block_operations, meters, operations, relative_ceilings, sessions
from policyengine.state.approval_operations import CloseTicket, DecideTicket, Enter, Keep, OpenTicket, TellTicket
from policyengine.state.block_operations import Beat, Impose, ReadBlocks
from policyengine.state.charge_documents import Documents, description_of, held_charge, held_document, held_use
from policyengine.state.meters import ClockSkew
from policyengine.state.operations import (
    Adjust,
    Cancel,
    Charge,
    Commit,
    Document,
    DocumentsFound,
    Done,
    Hold,
    Label,
    LimitRefusal,
    MeterUse,
    OpenSession,
    Operation,
    Outcome,
    ReadDocuments,
    ReadSession,
    Refused,
    Rejected,
    Release,
    Renew,
    Settle,
    lease_key,
)
from policyengine.state.windows import Concurrent, Window, held_window


class Applied(Struct, frozen=True, gc=False):
    """`writes`: by key, the new document and the time from which it may be forgotten."""

    outcome: Outcome
    writes: Mapping[str, tuple[Document | None, int]] = {}


def apply(operation: Operation, documents: Documents, now: int) -> Applied:
    """The result of an operation. Never raises because of the documents' content, if they were written here."""
    try:
        return _apply(operation, documents, now)
    except ClockSkew:
        return Applied(Rejected(operations.SKEWED))


def _apply(operation: Operation, documents: Documents, now: int) -> Applied:
    match operation:
        case Commit():
            return _commit(operation, documents, now)
        case Hold():
            return _hold(operation, documents, now)
        case Release():
            return _release(operation, documents, now)
        case Settle():
            return _settle(operation, documents, now)
        case Renew():
            return _renew(operation, documents, now)
        case Cancel():
            return _cancel(operation, documents, now)
        case OpenSession() | Label() | ReadSession():
            return Applied(*sessions.apply(operation, documents[operation.key], now))
        case ReadDocuments(named):
            return Applied(DocumentsFound(now, tuple(documents[key] for key in named)))
        case OpenTicket() | DecideTicket() | CloseTicket() | TellTicket() | Enter() | Keep():
            answer, writes = approvals.apply(operation, documents, now)
            return Applied(Rejected(answer) if isinstance(answer, str) else DocumentsFound(now, (answer,)), writes)
        case ReadBlocks():
            return Applied(DocumentsFound(now, (block_operations.read(operation, documents[block_operations.KEY]),)))
        case Beat():
            beaten = block_operations.beaten(operation, documents[operation.key], now)
            return _listed(operation.key, beaten, now)
        case Impose():
            made = block_operations.imposed(operation, documents[block_operations.KEY], now)
            if made is None:
                return Applied(Rejected(operations.TOO_MANY_BLOCKS))
            return _listed(block_operations.KEY, made, now)
        case Adjust():
            return _adjust(operation, documents, now)
    assert_never(operation)


def _listed(key: str, made: Document, now: int) -> Applied:
    """The result of writing the list of blocks."""
    return Applied(DocumentsFound(now, (made,)), {key: (made, now + block_operations.FOREVER)})


# ---- commit ----


def _commit(commit: Commit, documents: Documents, now: int) -> Applied:
    # A retry comes before everything that could refuse it now: it was granted for the state at that time.
    if commit.once is not None and (earlier := documents[commit.once]) is not None:
        return Applied(_retried(commit, earlier, documents, now))
    session: Document | Rejected | None = None
    if commit.session is not None:
        session = sessions.committed(commit.session, documents[commit.session.key], now)
        if isinstance(session, Rejected):
            return Applied(session)
    approval: Document | str | None = None
    if commit.approval is not None:
        approval = approvals.consumed(commit.approval, documents[commit.approval.key], now)
        if isinstance(approval, str):
            return Applied(Rejected(approval))
    if commit.held:
        if documents[lease_key(commit.id)] is not None:
            # The commit was carried out already, and the answer was lost: nothing is charged twice.
            return Applied(Done(now, _uses(commit.charges, documents, now), now + commit.lease))
        # The charge replaces the hold in one step, so that nobody else gets its room in between.
        documents = {
            **documents,
            **{c.meter: meters.without_hold(documents[c.meter], commit.id) for c in commit.charges},
        }
    elif (refused := _refusals(commit.charges, documents, now))[0]:
        refusals, blocked = refused
        return Applied(Refused(now, tuple(refusals)), blocked)
    writes: dict[str, tuple[Document | None, int]] = {}
    uses, held = [], []
    until = now + commit.lease
    for charge in commit.charges:
        earlier = relative_ceilings.shared(documents[charge.meter], charge.share)
        at = meters.time_of(earlier, now)
        document = meters.charged(earlier, charge.window, at, charge.amount, commit.id, until)
        document = {**document, **description_of(charge)}
        writes[charge.meter] = document, meters.expires(document, charge.window, at)
        uses.append(_use(charge, document, at))
        held.append(held_charge(charge, meters.place(document, charge.window, at)))
    lease = {
        "owner": commit.owner,
        "state": "open",
        "expires": until,
        "kept": now + commit.keep,
        "charges": held,
        "memo": commit.memo,
    }
    if commit.once is not None:
        lease["once"] = True
    if commit.elsewhere:
        lease["elsewhere"] = [held_charge(charge, 0) for charge in commit.elsewhere]
    # A request without meters needs no lease: there is nothing to settle, and nothing to give back.
    if held or commit.once is not None or commit.elsewhere:
        writes[lease_key(commit.id)] = lease, now + commit.keep
    if isinstance(session, Mapping) and commit.session is not None:
        writes[commit.session.key] = session, sessions.remembered_until(now + commit.session.life)
    if isinstance(approval, Mapping) and commit.approval is not None:
        writes[commit.approval.key] = approval, approvals.ends(approval)
    if commit.once is not None:
        writes[commit.once] = {"body": commit.body, "grant": commit.id}, now + commit.keep
    end = approval["until"] if isinstance(approval, Mapping) else 0
    return Applied(Done(now, tuple(uses), until, "", end), writes)


def _retried(commit: Commit, earlier: Document, documents: Documents, now: int) -> Outcome:
    """The answer to a retry: what was granted before, with nothing charged."""
    if earlier["body"] != commit.body:
        return Rejected(operations.REUSED)
    lease = documents[lease_key(commit.id)]
    if lease is None or lease["state"] == "cancelled":
        # It is no longer charged.
        return Rejected(operations.ENDED)
    return Done(now, _uses(commit.charges, documents, now), 0, earlier["grant"])


def _uses(charges: tuple[Charge, ...], documents: Documents, now: int) -> tuple[MeterUse, ...]:
    """The current state of the meters."""
    uses = [(charge, relative_ceilings.shared(documents[charge.meter], charge.share)) for charge in charges]
    return tuple(_use(charge, document, meters.time_of(document, now)) for charge, document in uses)


def _hold(hold: Hold, documents: Documents, now: int) -> Applied:
    refusals, blocked = _refusals(hold.charges, documents, now)
    if refusals:
        return Applied(Refused(now, tuple(refusals)), blocked)
    writes: dict[str, tuple[Document | None, int]] = {}
    for charge in hold.charges:
        earlier = relative_ceilings.shared(documents[charge.meter], charge.share)
        at = meters.time_of(earlier, now)
        document = meters.with_hold(earlier, charge.window, at, charge.amount, hold.id, now + hold.lasting)
        document = {**document, **description_of(charge)}
        writes[charge.meter] = document, meters.expires(document, charge.window, at)
    return Applied(Done(now, (), now + hold.lasting), writes)


def _release(release: Release, documents: Documents, now: int) -> Applied:
    # The commit of the hold succeeded, and the sender of the release has not received the answer.
    if documents[lease_key(release.id)] is not None:
        return _cancel(Cancel(release.id, release.owner, tuple(c.meter for c in release.charges)), documents, now)
    writes: dict[str, tuple[Document | None, int]] = {}
    for charge in release.charges:
        document = meters.without_hold(documents[charge.meter], release.id)
        if document is not None:
            at = meters.time_of(document, now)
            writes[charge.meter] = document, meters.expires(document, charge.window, at)
    return Applied(Done(now), writes)


def _refusals(
    charges: tuple[Charge, ...], documents: Documents, now: int
) -> tuple[list[LimitRefusal], dict[str, tuple[Document | None, int]]]:
    """The limits without room, and the meters that are blocked from now on because of it."""
    refusals = []
    blocked: dict[str, tuple[Document | None, int]] = {}
    for charge in charges:
        document = relative_ceilings.shared(documents[charge.meter], charge.share)
        at = meters.time_of(document, now)
        free = meters.room_at(document, charge.window, at, charge.amount, charge.ceiling)
        if charge.advisory or (free is not None and free <= at):
            continue
        used = meters.used(document, charge.window, at)
        tripped = bool(charge.block_for) and (document or {}).get("blocked", 0) <= at
        if tripped:
            end = at + charge.block_for
            trip = {**(document or {}), "now": at, "blocked": end, **description_of(charge)}
            blocked[charge.meter] = trip, meters.expires(trip, charge.window, at)
            free = max(free, end) if free is not None else None
        ceiling = meters.ceiling_at(document, charge.window, charge.ceiling, at)
        refusals.append(LimitRefusal(charge.rule, charge.meter, used, ceiling, free, tripped))
    return refusals, blocked


def _use(charge: Charge, document: Document | None, at: int) -> MeterUse:
    used = meters.used(document, charge.window, at)
    ceiling = meters.ceiling_at(document, charge.window, charge.ceiling, at)
    return MeterUse(charge.rule, charge.meter, used, ceiling, meters.empty_at(document, charge.window, at))


def _adjust(adjust: Adjust, documents: Documents, now: int) -> Applied:
    document = documents[adjust.meter]
    at, until = meters.time_of(document, now), 0
    if adjust.what == "reset":
        made = meters.reset(document or {}, adjust.window, at)
    else:
        until = at + adjust.length if adjust.what == "raise" else meters.window_end(document, adjust.window, at)
        if (more := meters.raised(document, at, adjust.amount, until)) is None:
            return Applied(Rejected(operations.TOO_MANY_RAISES))
        made = more
    change = {
        "what": adjust.what, "meter": adjust.meter, "rule": adjust.rule, "by": list(adjust.by), "amount": adjust.amount,
        "until": until, "why": adjust.why, "who": adjust.who, "at": now,
    }  # fmt: skip
    writes: dict[str, tuple[Document | None, int]] = {adjust.key: (change, now + operations.CHANGE_KEPT)}
    made = {**made, **description_of(adjust)}
    writes[adjust.meter] = made, meters.expires(made, adjust.window, at)
    return Applied(DocumentsFound(now, (change,)), writes)


# ---- leases ----


def _settle(settle: Settle, documents: Documents, now: int) -> Applied:
    lease = documents[lease_key(settle.id)]
    if lease is None or lease["owner"] != settle.owner:
        return Applied(Rejected(operations.UNKNOWN_LEASE))
    actual, windows = dict(settle.actual), dict(settle.windows)
    if lease["state"] != "open":
        return Applied(_settled_before(settle, lease, actual, windows, documents, now))
    writes: dict[str, tuple[Document | None, int]] = {}
    uses, held = [], []
    for charge in lease["charges"]:
        meter, window = charge["meter"], windows.get(charge["meter"], held_window(charge))
        document = held_document(documents, charge)
        at = meters.time_of(document, now)
        if charge["kind"] == "concurrent":
            if settle.final:
                document = meters.returned(document, window, at, 0, 0, settle.id)
        else:
            # Amounts that were recorded on the way are spent, whatever is recorded afterwards.
            spent = max(actual.get(meter, charge["counted"] if settle.final else 0), charge["spent"])
            # Until the end, the estimate counts unless more than it has been spent.
            counted = spent if settle.final else max(spent, charge["counted"])
            document = _corrected(document, window, at, charge, counted, settle.id)
            charge = {**charge, "counted": counted, "spent": spent}
        if settle.final:
            # This distinguishes a retry, which is answered again, from a different settlement, which is refused.
            charge = {**charge, "said": actual.get(meter, -1)}
        if document is not None:
            writes[meter] = document, meters.expires(document, window, at)
        uses.append(held_use(charge, document, window, at))
        held.append(charge)
    ended = {**lease, "charges": held, "state": "settled" if settle.final else "open"}
    writes[lease_key(settle.id)] = ended, _ended_lease_until(lease, now) if settle.final else _lease_kept_until(lease)
    return Applied(Done(now, tuple(uses), lease["expires"]), writes)


def _settled_before(
    settle: Settle,
    lease: Document,
    actual: Mapping[str, int],
    windows: Mapping[str, Window],
    documents: Documents,
    now: int,
) -> Outcome:
    """A client that missed the answer sends the same again, and gets the answer that it would have had."""
    # -1 is a meter without a recorded amount, -2 one that was never settled finally.
    same = all(charge.get("said", -2) == actual.get(charge["meter"], -1) for charge in lease["charges"])
    if lease["state"] != "settled" or not settle.final or not same:
        return Rejected(operations.ENDED)
    uses = []
    for charge in lease["charges"]:
        window = windows.get(charge["meter"], held_window(charge))
        document = held_document(documents, charge)
        uses.append(held_use(charge, document, window, meters.time_of(document, now)))
    return Done(now, tuple(uses), lease["expires"])


def _corrected(
    document: Document | None, window: Window, at: int, held: Mapping[str, Any], counted: int, lease: str
) -> Document | None:
    """An amount that was too high is reduced where it was counted; an additional amount is counted now."""
    more = counted - held["counted"]
    if more < 0:
        return meters.returned(document, window, at, -more, held["at"], lease)
    if more > 0:
        return meters.charged(document, window, at, more, lease, 0)
    return document


def _renew(renew: Renew, documents: Documents, now: int) -> Applied:
    lease = documents[lease_key(renew.id)]
    if lease is None or lease["owner"] != renew.owner:
        return Applied(Rejected(operations.UNKNOWN_LEASE))
    if lease["state"] != "open" or lease["expires"] <= now:
        return Applied(Rejected(operations.ENDED))
    until = now + renew.lease
    kept = max(_lease_kept_until(lease), until)
    writes: dict[str, tuple[Document | None, int]] = {lease_key(renew.id): ({**lease, "expires": until}, kept)}
    for charge in lease["charges"]:
        document = documents[charge["meter"]]
        # Concurrent use is counted by its lease, and would end at the old time.
        if charge["kind"] == "concurrent" and document is not None:
            document = {**document, "leases": {**document["leases"], renew.id: until}}
            writes[charge["meter"]] = document, meters.expires(document, Concurrent(), now)
    return Applied(Done(now, (), until), writes)


def _cancel(cancel: Cancel, documents: Documents, now: int) -> Applied:
    lease = documents[lease_key(cancel.id)]
    if lease is None or lease["owner"] != cancel.owner:
        return Applied(Rejected(operations.UNKNOWN_LEASE))
    if lease["state"] != "open" or lease["expires"] <= now:
        return Applied(Rejected(operations.ENDED))
    if any(charge["spent"] for charge in lease["charges"]):
        return Applied(Rejected(operations.SPENT))
    writes: dict[str, tuple[Document | None, int]] = {
        lease_key(cancel.id): ({**lease, "state": "cancelled"}, _ended_lease_until(lease, now))
    }
    for charge in lease["charges"]:
        document = documents[charge["meter"]]
        if document is not None:
            window = held_window(charge)
            at = meters.time_of(document, now)
            given_back = meters.returned(document, window, at, charge["counted"], charge["at"], cancel.id)
            if given_back is not None:
                writes[charge["meter"]] = given_back, meters.expires(given_back, window, at)
    return Applied(Done(now, ()), writes)


def _lease_kept_until(lease: Document) -> int:
    """When a lease may be forgotten. Until then it can be settled."""
    return max(int(lease["kept"]), int(lease["expires"]))


def _ended_lease_until(lease: Document, now: int) -> int:
    """When an ended lease may be forgotten: only a retry asks for it, and not for long."""
    return _lease_kept_until(lease) if lease.get("once") else max(int(lease["expires"]), now) + meters.GRACE
