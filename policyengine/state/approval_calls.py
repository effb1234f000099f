"""Approvals for a host: requesting, listing, approving and rejecting.

Each call is written once, as steps that yield operations; the methods with `_async` do not block the event loop. All
raise ApprovalError for what cannot be done, and StoreError if the store is unavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.events.event import Event
from policyengine.events.sink import Sink
from policyengine.model.values import Fault
from policyengine.state import approval_operations as reasons
from policyengine.state.approval_operations import (
    ApprovalVerdict,
    CloseTicket,
    DecideTicket,
    Enter,
    OpenTicket,
    TellTicket,
)
from policyengine.state.approval_tasks import LONGEST, Submission, Task, task, ticket
from policyengine.state.approvals import KEPT
from policyengine.state.approvers import Ineligible, eligible, reason_of
from policyengine.state.approving import AccessRequest, ApprovalRef, index_key, new_reference, reference
from policyengine.state.operations import REUSED, DocumentsFound, Outcome, ReadDocuments, Rejected
from policyengine.state.store import Store
from policyengine.state.windows import SECOND
from policyengine.steps import Steps, awaited, plain, run

# How long a request can be approved, in seconds.
PENDING = 86_400.0
# The index of the tenants with requests for approval.
TENANTS = "approvals"
# How many requests are read at once.
AT_ONCE = 100

GONE = "the policies have changed since: make the request again, and ask for what it then lacks"


class ApprovalError(Exception):
    """Why something cannot be done with a request for approval; `reason` is one of `approval_operations`, or describes
    what is wrong with the approver."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Approvals:
    """The approvals of one store. `current` is the snapshot in force, whose rules determine who may approve."""

    def __init__(self, store: Store, current: Callable[[], Snapshot], events: Sink) -> None:
        self._store = store
        self._ask, self._ask_async = store.run, store.run_async
        self._current = current
        self._events = events

    # ---- asking ----

    def _request(
        self, wanted: AccessRequest, *, why: str = "", caller: str = "", submission: Submission | None = None,
        pending: float = PENDING,
    ) -> Steps[Task]:  # fmt: skip
        """Requests what a grant lacks: its `access_request`. `why` is for the approvers; `caller` is who may cancel the
        request. It can be approved for `pending` seconds."""
        submission = submission or Submission(why, caller)
        snapshot = self._current()
        named = new_reference(wanted.tenant)
        made = ticket(wanted, submission, named, snapshot) if snapshot.revision == wanted.revision else None
        if made is None:
            raise ApprovalError(GONE)
        # The index comes first, so that no request is missed; an entry without a request is harmless.
        yield Enter(TENANTS, wanted.tenant, KEPT)
        outcome = yield OpenTicket(
            named.key, index_key(wanted.tenant), made, round(pending * SECOND),
            submission.once, submission.body, submission.token, submission.token_life,
        )  # fmt: skip
        document, now = _document(outcome)
        if "ticket" in document:
            return (yield from self._repeated(wanted.tenant, document, submission.body))
        self._tell("requested", document)
        return task(document, now)

    def _repeated(self, tenant: str, earlier: Mapping[str, Any], body: str) -> Steps[Task]:
        if earlier["body"] != body:
            raise ApprovalError(REUSED)
        return (yield from _read(ApprovalRef(tenant, earlier["ticket"])))

    request, request_async = plain(_request), awaited(_request)

    # ---- what waits ----

    def _show(self, id: str) -> Steps[Task]:
        """A request for approval, by its id."""
        return (yield from _read(_named(id)))

    def _list(
        self, tenant: str | None = None, *, approver: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Steps[Sequence[Task]]:  # fmt: skip
        """The requests that wait for approval, oldest first, of one tenant or of all. With an `approver`, those that
        they may decide."""
        found = yield from _unfinished(tenant)
        pending = [(document, each) for document, each in found if each.status == "pending"]
        if approver is None:
            return [each for _, each in pending]
        snapshot = self._current()
        return [each for document, each in pending if _may(document, approver, context, snapshot)]

    show, show_async = plain(_show), awaited(_show)
    list, list_async = plain(_list), awaited(_list)

    # ---- deciding ----

    def _approve(
        self, id: str, approver: Mapping[str, Any], *, why: str = "", caller: str = "",
        context: Mapping[str, Any] | None = None,
    ) -> Steps[Task]:  # fmt: skip
        """Approves a request. `approver` is the entity of a person whose identity the host has verified; their groups
        come from the entity source, or with the entity. `caller` is recorded as the sender."""
        return (yield from self._decide("approve", id, approver, why, caller, context))

    def _reject(
        self, id: str, approver: Mapping[str, Any], *, why: str = "", caller: str = "",
        context: Mapping[str, Any] | None = None,
    ) -> Steps[Task]:  # fmt: skip
        """Rejects a request, as one of those who may approve it. One rejection is enough."""
        return (yield from self._decide("reject", id, approver, why, caller, context))

    approve, approve_async = plain(_approve), awaited(_approve)
    reject, reject_async = plain(_reject), awaited(_reject)

    def may_decide(self, id: str, approver: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> str:
        """Why an approver may not decide a request; empty if they may."""
        try:
            run(self._eligible(_named(id), approver, context), self._ask)
        except ApprovalError as error:
            return error.reason
        return ""

    def _decide(
        self, verdict: ApprovalVerdict, id_: str, approver: Mapping[str, Any], why: str, caller: str, context: Any
    ) -> Steps[Task]:
        named = _named(id_)
        who, rules = yield from self._eligible(named, approver, context)
        asked = DecideTicket(named.key, index_key(named.tenant), verdict, who, rules, why[:LONGEST], caller)
        document, now = _document((yield asked))
        if document["state"] != "pending":
            self._tell(document["state"], document)
        return task(document, now)

    def _eligible(
        self, named: ApprovalRef, approver: Mapping[str, Any], context: Any
    ) -> Steps[tuple[str, tuple[str, ...]]]:
        document, _ = yield from _ticket(named)
        try:
            return eligible(document, approver, context, self._current())
        except Ineligible as error:
            raise ApprovalError(str(error)) from None
        except Fault as fault:
            raise ApprovalError(reason_of(fault)) from None

    # ---- taking it back ----

    def _cancel(self, id: str, *, caller: str | None = None, who: str = "", why: str = "") -> Steps[Task]:
        """Cancels a request: it cannot be decided any more. `caller` is who made it; None for an operator."""
        return (yield from self._close(id, caller, who, why, False))

    def _revoke(self, id: str, *, who: str = "", why: str = "") -> Steps[Task]:
        """Revokes an approval, for an operator: it cannot be used from now on."""
        return (yield from self._close(id, None, who, why, True))

    cancel, cancel_async = plain(_cancel), awaited(_cancel)
    revoke, revoke_async = plain(_revoke), awaited(_revoke)

    def _close(self, id_: str, owner: str | None, who: str, why: str, revoke: bool) -> Steps[Task]:
        named = _named(id_)
        document, now = _document(
            (yield CloseTicket(named.key, index_key(named.tenant), owner, who, why[:LONGEST], revoke))
        )
        self._tell("revoked" if revoke else "cancelled", document)
        return task(document, now)

    # ---- telling ----

    def untold(self) -> Sequence[Task]:
        """The finished requests whose end has to be reported."""
        unfinished = run(_unfinished(None), self._ask)
        return [each for _, each in unfinished if each.status != "pending" and each.callback]

    def claim(self, id: str, seconds: float) -> Task | None:
        """A finished request whose end has to be reported, for this caller alone and this many seconds; None if there
        is nothing to report. With 0 seconds it counts as reported."""
        named = _named(id)
        outcome = self._store.run(TellTicket(named.key, index_key(named.tenant), round(seconds * SECOND)))
        return None if isinstance(outcome, Rejected) else task(*_document(outcome))

    def _tell(self, what: str, found: Mapping[str, Any]) -> None:
        task_shown = task(found, 0)
        fields: dict[str, str | tuple[str, ...]] = {
            "task": task_shown.id,
            "requester": task_shown.requester,
            "agents": task_shown.agents,
            "action": task_shown.action,
            "resource": task_shown.resource,
            "rules": tuple(need.rule for need in task_shown.needs),
            "by": tuple(need.by for need in task_shown.needs),
            "approvers": tuple(who for need in task_shown.needs for who in need.approvers),
        }
        self._events.send(Event(f"approval.{what}", fields, task_shown.tenant))


# ---- steps that need no snapshot ----


def _named(id_: Any) -> ApprovalRef:
    named = reference(id_)
    if named is None or named.secret:
        raise ApprovalError(reasons.UNKNOWN_TICKET)
    return named


def _ticket(named: ApprovalRef) -> Steps[tuple[Mapping[str, Any], int]]:
    return _document((yield ReadDocuments((named.key,))))


def _read(named: ApprovalRef) -> Steps[Task]:
    return task(*(yield from _ticket(named)))


def _may(document: Mapping[str, Any], approver: Any, context: Any, snapshot: Snapshot) -> bool:
    try:
        eligible(document, approver, context, snapshot)
    except (Ineligible, Fault):
        return False
    return True


def _unfinished(tenant: str | None) -> Steps[Sequence[tuple[Mapping[str, Any], Task]]]:
    tenants = [tenant] if tenant is not None else sorted((yield from _open(TENANTS)))
    tasks: list[tuple[Mapping[str, Any], Task]] = []
    for each in tenants:
        numbers = sorted((yield from _open(index_key(each))))
        for start in range(0, len(numbers), AT_ONCE):
            keys = tuple(ApprovalRef(each, number).key for number in numbers[start : start + AT_ONCE])
            outcome = yield ReadDocuments(keys)
            if isinstance(outcome, DocumentsFound):
                tasks += [(each, task(each, outcome.now)) for each in outcome.documents if each is not None]
    return sorted(tasks, key=lambda pair: (pair[1].created, pair[1].id))


def _open(index: str) -> Steps[list[str]]:
    outcome = yield ReadDocuments((index,))
    document = outcome.documents[0] if isinstance(outcome, DocumentsFound) else None
    return list(document["open"]) if document is not None else []


def _document(outcome: Outcome) -> tuple[Mapping[str, Any], int]:
    if isinstance(outcome, Rejected):
        raise ApprovalError(outcome.reason)
    if not isinstance(outcome, DocumentsFound) or outcome.documents[0] is None:
        raise ApprovalError(reasons.UNKNOWN_TICKET)
    return outcome.documents[0], outcome.now
