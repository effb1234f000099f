"""The status of a request for approval, and its cancellation.

Callers that may ask about the subject may see the status; only the one that submitted it, or an administrator, may
cancel it. For everybody else the task does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import time
from typing import Any

from policyengine.authzen import read
from policyengine.authzen.endpoints import ACCESS_REQUESTS
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.server import encode, grants
from policyengine.server.access.refusals import ProfileError
from policyengine.server.access.request_hints import AccessHints, stamp
from policyengine.server.errors import RequestError
from policyengine.server.pipeline import Reply
from policyengine.state import approval_operations as reasons
from policyengine.state.approval_calls import ApprovalError
from policyengine.state.approval_tasks import Task
from policyengine.state.approvals import KEPT
from policyengine.state.windows import SECOND

# How long the end of a task can be read, in seconds.
READABLE = 86_400.0
UNKNOWN = "there is no such task"
assert READABLE * SECOND < KEPT


def answer(task: Task, desk: AccessHints) -> dict[str, Any]:
    """A task as the profile has it. Nothing in it says who approves, or which policies ask."""
    address = f"{desk.public_url}{ACCESS_REQUESTS}/{task.id}"
    shown: dict[str, Any] = {
        "id": task.id,
        "status": task.status,
        "status_endpoint": address,
        "expires_at": stamp(_gone(task)),
        "display": {"title": _TITLES[task.status]},
    }
    if task.status == "pending":
        shown["links"] = {"cancel": f"{address}/cancel"}
        return {"task": shown}
    if task.status != "approved" or task.approval is None or task.approved_until is None or task.approved_at is None:
        return {"task": shown}
    approval: dict[str, Any] = {
        "id": task.approval,
        "approved_at": stamp(task.approved_at),
        "approved_until": stamp(task.approved_until),
    }
    state = desk.state(task.approval, task.id, task.approved_at, task.approved_until)
    if state is not None:
        approval["state"] = state
    return {"task": shown, "result": {"mode": "reevaluate", "approval": approval}}


_TITLES = {
    "pending": "Waiting for approval",
    "approved": "Approved",
    "denied": "Not approved",
    "cancelled": "Cancelled",
    "expired": "Nobody has decided in time",
}


def _gone(task: Task) -> float:
    """When a task can no longer be read; for a pending task, when it expires."""
    if task.status == "pending":
        return task.expires_at
    return max(task.expires_at, task.approved_until or 0.0) + READABLE


@dataclass(frozen=True, slots=True)
class TaskCalls:
    """`GET /access/v1/requests/{id}` and `POST .../cancel`."""

    desk: AccessHints

    def show(self, engine: Engine, id_: str, caller: Caller) -> dict[str, Any]:
        """Raises RequestError."""
        return answer(self.readable(engine, id_, caller), self.desk)

    def cancel(self, engine: Engine, id_: str, body: bytes, caller: Caller) -> Reply:
        """Raises Malformed and RequestError."""
        value = read.json_object(body) if body.strip() else {}
        task = self.readable(engine, id_, caller)
        owner = None if "admin" in caller.scopes else grants.owner(caller)
        why = " ".join(text for name in ("reason", "comment") if isinstance(text := value.get(name), str))
        try:
            task = engine.approvals.cancel(task.id, caller=owner, who=grants.owner(caller), why=why)
        except ApprovalError as error:
            if error.reason == reasons.NOT_OWNER:
                raise RequestError(403, error.reason) from None
            if error.reason == reasons.NOT_PENDING:
                raise ProfileError(409, "invalid_task_state", error.reason) from None
            raise ProfileError(404, "unknown_task", UNKNOWN) from None
        return Reply(encode.value_body(answer(task, self.desk)), (), 0)

    def readable(self, engine: Engine, id_: str, caller: Caller) -> Task:
        """The task, if the caller may know of it."""
        try:
            task = engine.approvals.show(id_)
        except ApprovalError:
            raise ProfileError(404, "unknown_task", UNKNOWN) from None
        if caller.tenant is not None and caller.tenant != task.tenant:
            raise ProfileError(404, "unknown_task", UNKNOWN)
        principal = task.request["principal"]
        ours = caller.principal
        if ours is not None and (principal["type"], principal["id"]) != (ours["type"], ours["id"]):
            raise ProfileError(404, "unknown_task", UNKNOWN)
        if time() > _gone(task):
            raise ProfileError(410, "task_expired", "the task has expired")
        return task
