"""Sessions for a host: opening and reading a session, recording the result of a tool, removing a label.

A session is opened for the principal of a tenant, and is their capability: for anybody else it does not exist. Each
method has an async form with the same operation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Any

from policyengine.state.authorize import call_of, called, holder
from policyengine.state.operations import (
    DocumentsFound,
    Label,
    OpenSession,
    Operation,
    Outcome,
    ReadSession,
    Rejected,
)
from policyengine.state.session_grants import grants_of, is_reserved, narrowing, plain_labels
from policyengine.state.sessions import LIFE, session_key
from policyengine.state.store import Store
from policyengine.state.windows import SECOND
from policyengine.steps import Steps, awaited, plain


class UnknownSession(Exception):
    """The session does not exist, or not for this principal."""


@dataclass(frozen=True, slots=True)
class SessionState:
    """The content of a session. `calls` is as rules read it; times are seconds since 1970. `grants` are the grants to
    which it is narrowed; None if it was not narrowed."""

    id: str
    labels: tuple[str, ...]
    calls: tuple[Mapping[str, Any], ...]
    started: float
    expires_at: float
    grants: tuple[Any, ...] | None = None


class Sessions:
    """The sessions of one store. `principal` is an entity as in `authorize`, and `context` holds its tenant, if any.
    Sessions that began before `since`, in microseconds, are void."""

    def __init__(self, store: Store, since: Callable[[], int] = lambda: 0) -> None:
        self._store = store
        self._since = since

    def _ask(self, operation: Operation) -> Outcome:
        return self._store.run(operation)

    async def _ask_async(self, operation: Operation) -> Outcome:
        return await self._store.run_async(operation)

    def opening(
        self, principal: Mapping[str, Any], context: Mapping[str, Any] | None = None, *, id: str | None = None
    ) -> Steps[str]:
        """Opens a session and returns its id: 128 random bits, or the given id. Raises StoreError, and UnknownSession
        for an id that is taken."""
        opened = token_urlsafe(16) if id is None else id
        key, tenant, who = _place(opened, principal, context)
        _held((yield OpenSession(key, tenant, who, LIFE)))
        return opened

    def _read(
        self, id: str, principal: Mapping[str, Any], context: Mapping[str, Any] | None = None
    ) -> Steps[SessionState]:
        """The content of the session. Raises UnknownSession and StoreError."""
        key, tenant, who = _place(id, principal, context)
        return _session(id, (yield ReadSession(key, tenant, who, LIFE, since=self._since())))

    def narrowed(
        self,
        id: str,
        principal: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        *,
        grants: Collection[Any],
    ) -> Steps[None]:
        """Narrows the session to these of its grants, texts or objects. A new session has all grants, and nothing
        widens a session again. Rules read them as `session.grants`. Raises UnknownSession, StoreError, and TypeError or
        ValueError for values that are not grants."""
        key, tenant, who = _place(id, principal, context)
        _done((yield Label(key, tenant, who, add=(narrowing(grants),), since=self._since())))

    open, open_async = plain(opening), awaited(opening)
    read, read_async = plain(_read), awaited(_read)
    narrow, narrow_async = plain(narrowed), awaited(narrowed)

    # Each call of a tool ends with this, so both forms are written out, which is faster.

    def record_result(
        self,
        id: str,
        principal: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        *,
        tool: str = "",
        action: str = "call",
        labels: Collection[str] = (),
    ) -> None:
        """Records that a call returned: it counts as completed, and the session has these labels from now on. Labels
        are only ever added. Raises UnknownSession, StoreError, and TypeError if `labels` is a text."""
        _done(self._store.run(_result(id, principal, context, tool, action, labels, self._since())))

    async def record_result_async(
        self,
        id: str,
        principal: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        *,
        tool: str = "",
        action: str = "call",
        labels: Collection[str] = (),
    ) -> None:
        _done(await self._store.run_async(_result(id, principal, context, tool, action, labels, self._since())))

    def remove_labels(
        self,
        id: str,
        principal: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        *,
        labels: Collection[str],
    ) -> None:
        """Removes labels. This is for operators alone, because a session cannot forget what it has seen. Raises as
        `record_result` does."""
        key, tenant, who = _place(id, principal, context)
        _done(self._store.run(Label(key, tenant, who, remove=_names(labels), since=self._since())))


def _place(id_: str, principal: Any, context: Any) -> tuple[str, str, str]:
    tenant, who = holder(principal, context)
    return session_key(tenant, id_), tenant, who


def _result(
    id_: str, principal: Any, context: Any, tool: str, action: str, labels: Collection[str], since: int
) -> Label:
    key, tenant, who = _place(id_, principal, context)
    return Label(key, tenant, who, add=_names(labels), completed=called(action, tool), since=since)


def _names(labels: Collection[str]) -> tuple[str, ...]:
    if labels == ():
        return ()
    if isinstance(labels, str | bytes | Mapping) or not all(isinstance(label, str) for label in labels):
        raise TypeError("labels must be a collection of names")
    if any(map(is_reserved, labels)):
        raise TypeError("a label must be the name of a rule")
    return tuple(labels)


def _held(outcome: Outcome) -> Mapping[str, Any]:
    if not isinstance(outcome, DocumentsFound) or (held := outcome.documents[0]) is None:
        raise UnknownSession(outcome.reason if isinstance(outcome, Rejected) else "there is no such session")
    return held


def _session(id_: str, outcome: Outcome) -> SessionState:
    held = _held(outcome)
    calls = tuple(call_of(name, counts) for name, counts in held["calls"].items())
    labels, started, expires = held["labels"], held["started"] / SECOND, held["expires"] / SECOND
    return SessionState(id_, plain_labels(labels), calls, started, expires, grants_of(labels))


def _done(outcome: Outcome) -> None:
    if isinstance(outcome, Rejected):
        raise UnknownSession(outcome.reason)
