"""The arguments and answers of `transaction.lua`: operations and outcomes as MessagePack.

In: an operation, and the `prefix` that a store puts before every key. Out: the script's arguments; and the outcome from
its answer, with keys as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, assert_never

import msgspec
from msgspec import structs

from policyengine.state.approval_operations import (
    ApprovalOperation,
    CloseTicket,
    DecideTicket,
    Enter,
    Keep,
    OpenTicket,
    TellTicket,
)
from policyengine.state.block_operations import KEY, MOST, Beat, Impose, ReadBlocks
from policyengine.state.charge_documents import held_charge
from policyengine.state.operations import (
    CHANGE_KEPT,
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
from policyengine.state.store import StoreError
from policyengine.state.windows import Calendar, Concurrent, Sliding, Window

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(strict=False)


# ---- to the script ----


def encoded(operation: Operation, prefix: str) -> bytes:
    return _ENCODER.encode(_asked(operation, prefix))


def _asked(operation: Operation, prefix: str) -> dict[str, Any]:
    match operation:
        case Commit():
            data: dict[str, Any] = {
                "operation": "commit",
                "id": operation.id,
                "owner": operation.owner,
                "lease_key": prefix + lease_key(operation.id),
                "lease": operation.lease,
                "keep": operation.keep,
                "memo": operation.memo,
                "charges": _charges(operation.charges, prefix),
                "held": operation.held,
            }
            # The charges of other shards are kept with the lease, so that a later settlement includes them all.
            if operation.elsewhere:
                data["elsewhere"] = [
                    {**held_charge(charge, 0), "meter": prefix + charge.meter} for charge in operation.elsewhere
                ]
            if (session := operation.session) is not None:
                data["session"] = {
                    **_holder(session, session.life, prefix),
                    "labels": session.labels,
                    "call": session.call,
                    "opens": session.opens,
                }
                if session.version is not None:
                    data["session"]["version"] = session.version
            if operation.approval is not None:
                data["approval"] = {**asdict(operation.approval), "key": prefix + operation.approval.key}
            if operation.once is not None:
                data |= {"once": prefix + operation.once, "body": operation.body}
            return data
        case Hold():
            charges = _charges(operation.charges, prefix)
            return {"operation": "hold", "id": operation.id, "lasting": operation.lasting, "charges": charges}
        case Release():
            return {**_lease("release", operation, prefix), "charges": _charges(operation.charges, prefix)}
        case Settle():
            return {
                **_lease("settle", operation, prefix),
                "actual": {prefix + meter: amount for meter, amount in operation.actual},
                "windows": {prefix + meter: _window(window) for meter, window in operation.windows},
                "final": operation.final,
            }
        case Renew():
            return {**_lease("renew", operation, prefix), "lease": operation.lease}
        case Cancel():
            return _lease("cancel", operation, prefix)
        case OpenSession():
            return {"operation": "open_session", "session": _holder(operation, operation.life, prefix)}
        case ReadSession():
            return {
                "operation": "read_session",
                "session": _holder(operation, operation.life, prefix),
                "attempted": operation.attempted,
                "opens": operation.opens,
            }
        case Label():
            return {
                "operation": "label",
                "session": _holder(operation, 0, prefix),
                "add": operation.add,
                "remove": operation.remove,
                "completed": operation.completed,
            }
        case ReadDocuments():
            return {"operation": "read", "named": [prefix + key for key in operation.named]}
        case ReadBlocks():
            return {"operation": "read_blocks", "key": prefix + KEY, "version": operation.version}
        case Beat():
            key = prefix + operation.key
            return {"operation": "beat", "key": key, "known": operation.known, "void": operation.void}
        case Impose():
            return {"operation": "impose", "key": prefix + KEY, **structs.asdict(operation), "most": MOST}
        case Adjust():
            data = {name: getattr(operation, name) for name in operation.__struct_fields__ if name != "id"}
            key, meter, kept = prefix + operation.key, prefix + operation.meter, CHANGE_KEPT
            window = _window(operation.window)
            return {
                **data, "operation": "adjust", "key": key, "meter": meter, "named": operation.meter, "window": window,
                "kept": kept,
            }  # fmt: skip
        case OpenTicket() | DecideTicket() | CloseTicket() | TellTicket() | Enter() | Keep():
            return {"operation": _TICKETS[type(operation)], **_ticket(operation, prefix)}
    assert_never(operation)


_TICKETS: Mapping[type[ApprovalOperation], str] = {
    OpenTicket: "open_ticket",
    DecideTicket: "decide_ticket",
    CloseTicket: "close_ticket",
    TellTicket: "tell_ticket",
    Enter: "enter",
    Keep: "keep",
}


def _ticket(operation: ApprovalOperation, prefix: str) -> dict[str, Any]:
    """The members of an operation on approvals; keys get the prefix, and empty members are left out."""
    data = {name: value for name, value in asdict(operation).items() if value is not None}
    for name in ("key", "index", "once", "token"):
        if data.get(name):
            data[name] = prefix + data[name]
        else:
            data.pop(name, None)
    return data


def _charges(charges: tuple[Charge, ...], prefix: str) -> list[dict[str, Any]]:
    return [
        {
            "meter": prefix + charge.meter,
            "rule": charge.rule,
            "by": charge.by,
            "window": _window(charge.window),
            "ceiling": charge.ceiling,
            "amount": charge.amount,
            "block_for": charge.block_for,
            "advisory": charge.advisory,
            **({"share": charge.share} if charge.share is not None else {}),
        }
        for charge in charges
    ]


def _lease(name: str, operation: Settle | Renew | Cancel | Release, prefix: str) -> dict[str, Any]:
    return {
        "operation": name,
        "id": operation.id,
        "owner": operation.owner,
        "lease_key": prefix + lease_key(operation.id),
    }


def _holder(session: Any, life: int, prefix: str) -> dict[str, Any]:
    data = {"key": prefix + session.key, "tenant": session.tenant, "principal": session.principal, "life": life}
    return data if isinstance(session, OpenSession) else {**data, "since": session.since}


def _window(window: Window) -> dict[str, Any]:
    match window:
        case Sliding(width):
            return {"kind": "sliding", "width": width}
        case Calendar(periods):
            return {"kind": "calendar", "periods": periods}
        case Concurrent():
            return {"kind": "concurrent"}
    assert_never(window)


# ---- from the script ----


def outcome(answer: bytes, prefix: int) -> Outcome:
    """The outcome, with keys stripped of the `prefix` characters that this store puts before them."""
    kind, *rest = _DECODER.decode(answer)
    match kind:
        case "done":
            now, uses, *more = rest
            return Done(now, tuple(MeterUse(rule, key[prefix:], *answer) for rule, key, *answer in uses), *more)
        case "refused":
            now, refusals = rest
            return Refused(
                now,
                tuple(
                    LimitRefusal(rule, key[prefix:], used, ceiling, None if at < 0 else at, bool(trips))
                    for rule, key, used, ceiling, at, trips in refusals
                ),
            )
        case "rejected":
            return Rejected(rest[0])
        case "found":
            now, documents = rest
            return DocumentsFound(now, tuple(_document(document, prefix) for document in documents))
    raise StoreError("the state store gave an answer that cannot be read")


def _document(document: Any, prefix: int) -> Document | None:
    """The document as other stores return it. Lua cannot distinguish an empty object from an empty list."""
    if not isinstance(document, Mapping):
        return None
    data = {k: {} if k in ("calls", "leases", "open", "entries") and v == [] else v for k, v in document.items()}
    for name in ("charges", "elsewhere"):
        if name in data:
            data[name] = [{**held, "meter": held["meter"][prefix:]} for held in data[name]]
    return data
