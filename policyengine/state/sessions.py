"""The content of a session, and the effect of operations on it.

A session is a capability of the tenant and principal that opened it: for anybody else it does not exist. Its labels
come from the engine alone and only ever grow; only an operator can remove one. Documents:

    {"tenant", "principal", "version", "started", "expires", "labels": [label, ...],
     "calls": {name: [attempted, allowed, completed]}}

A document stays for a week after its session has ended (`remembered_until`): until then its id belongs to the ended
session, and nobody can begin another one with it.

`version` rises with every change that a rule can read, except attempts: those are counted whenever the session is read,
so every reader would conflict with every other.
"""

from __future__ import annotations

from typing import assert_never

from policyengine.state import operations
from policyengine.state.operations import (
    Document,
    DocumentsFound,
    Done,
    Label,
    OpenSession,
    Outcome,
    ReadSession,
    Rejected,
    SessionWrite,
)

# Sessions are bounded: in their labels, and in the different calls made in them.
MAX_LABELS = 256
MAX_CALLS = 1_024

# How long a session lives after its last use, in microseconds.
LIFE = 86_400 * 1_000_000

# How long after its end a session is remembered, in microseconds.
ENDED = 7 * 86_400 * 1_000_000

Writes = dict[str, tuple[Document | None, int]]


def session_key(tenant: str, id_: str) -> str:
    return f"session:{tenant}:{id_}"


def remembered_until(expires: int) -> int:
    """Until when a session with this end is remembered."""
    return expires + ENDED


def apply(operation: OpenSession | Label | ReadSession, document: Document | None, now: int) -> tuple[Outcome, Writes]:
    """The result of an operation on one session."""
    session_now = own(operation, document, now) if not isinstance(operation, OpenSession) else None
    match operation:
        case OpenSession():
            if _taken(document, now):
                # Whoever owns or owned it, an id that is taken cannot be opened again.
                return Rejected(operations.UNKNOWN_SESSION), {}
            begun = fresh(operation, now)
            return DocumentsFound(now, (begun,)), {operation.key: (begun, remembered_until(begun["expires"]))}
        case ReadSession():
            if session_now is None and (_taken(document, now) or not operation.opens):
                return Rejected(operations.UNKNOWN_SESSION), {}
            session = session_now if session_now is not None else fresh(operation, now)
            if operation.attempted:
                tried = counted(session, operation.attempted, 0)
                if tried is None:
                    return Rejected(operations.FULL), {}
                session = tried
            session = {**session, "expires": now + operation.life}
            return DocumentsFound(now, (session,)), {operation.key: (session, remembered_until(session["expires"]))}
        case Label():
            if session_now is None:
                return Rejected(operations.UNKNOWN_SESSION), {}
            labels = (set(session_now["labels"]) | set(operation.add)) - set(operation.remove)
            changed = {**session_now, "labels": sorted(labels), "version": session_now["version"] + 1}
            done = counted(changed, operation.completed, 2) if operation.completed else changed
            if done is None or len(labels) > MAX_LABELS:
                return Rejected(operations.FULL), {}
            return Done(now), {operation.key: (done, remembered_until(done["expires"]))}
    assert_never(operation)


def committed(write: SessionWrite, document: Document | None, now: int) -> Document | Rejected:
    """The session after an allowed request, or why the request cannot be recorded in it."""
    session_now = own(write, document, now)
    if session_now is None and (_taken(document, now) or write.version is not None or not write.opens):
        # It is somebody else's, or has ended; it existed when it was read; or it must exist.
        return Rejected(operations.UNKNOWN_SESSION)
    session = session_now if session_now is not None else fresh(write, now)
    if write.version is not None and session["version"] != write.version:
        return Rejected(operations.CHANGED)
    labels = sorted({*session["labels"], *write.labels})
    done = counted(session, write.call, 1) if write.call else session
    if done is None or len(labels) > MAX_LABELS:
        return Rejected(operations.FULL)
    return {**done, "labels": labels, "version": session["version"] + 1, "expires": now + write.life}


def own(asked: Label | ReadSession | SessionWrite, document: Document | None, now: int) -> Document | None:
    if document is None or document["expires"] <= now or document["started"] < asked.since:
        return None
    same = document["tenant"] == asked.tenant and document["principal"] == asked.principal
    return document if same else None


def _taken(document: Document | None, now: int) -> bool:
    """Whether the id belongs to a session, even one that has ended."""
    return document is not None and remembered_until(document["expires"]) > now


def fresh(asked: OpenSession | ReadSession | SessionWrite, now: int) -> Document:
    return {
        "tenant": asked.tenant,
        "principal": asked.principal,
        "version": 0,
        "started": now,
        "expires": now + asked.life,
        "labels": [],
        "calls": {},
    }


def counted(session: Document, call: str, what: int) -> Document | None:
    """The session with one more call: attempted (0), allowed (1) or completed (2). None if it has too many."""
    calls = session["calls"]
    if call not in calls and len(calls) >= MAX_CALLS:
        return None
    counts = list(calls.get(call, (0, 0, 0)))
    counts[what] += 1
    return {**session, "calls": {**calls, call: counts}}
