"""Approvals for agents: a call that needs a person becomes a request for approval, and its approval is looked up.

Nothing that a framework passes back is trusted: the store knows whether somebody approved, and an approval is bound to
exactly the call for which it was asked.
"""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.session import Session
from policyengine.state.approval_tasks import Submission, Task


def ask(engine: Engine, session: Session, call: ToolCall, id_: str) -> Task:
    """The request for approval of a call; the same one where the same call of this id comes again, as it does in a run
    that is resumed. Raises ApprovalError and StoreError."""
    wanted = _wanted(call)
    return engine.approvals.request(wanted, submission=_submission(session, wanted.scope.digest, id_))


async def ask_async(engine: Engine, session: Session, call: ToolCall, id_: str) -> Task:
    """As `ask`, without blocking the event loop."""
    wanted = _wanted(call)
    return await engine.approvals.request_async(wanted, submission=_submission(session, wanted.scope.digest, id_))


class Repeated:
    """Approvals for hosts that make a call anew once somebody has decided: their model proposes it again, under another
    id. The same call finds its request for approval by what it is, as often as the approval may be used; from then on,
    and with other arguments, it asks anew. What somebody rejected stays rejected."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # By call: how many requests for approval of it are over.
        self._over: Counter[str] = Counter()

    def task(self, session: Session, call: ToolCall) -> Task:
        """Raises ApprovalError and StoreError."""
        while _is_over(task := ask(self._engine, session, call, self._id(session, call))):
            self._over[_call(session, call)] += 1
        return task

    async def task_async(self, session: Session, call: ToolCall) -> Task:
        """As `task`, without blocking the event loop."""
        while _is_over(task := await ask_async(self._engine, session, call, self._id(session, call))):
            self._over[_call(session, call)] += 1
        return task

    def approval(self, session: Session, call: ToolCall) -> str | None:
        """The id of an approval of this very call; None while nobody has approved it."""
        return self.task(session, call).approval

    async def approval_async(self, session: Session, call: ToolCall) -> str | None:
        """As `approval`, without blocking the event loop."""
        return (await self.task_async(session, call)).approval

    def _id(self, session: Session, call: ToolCall) -> str:
        return f"repeated:{self._over[_call(session, call)]}"


def _is_over(task: Task) -> bool:
    """Whether nobody will decide about it any more, or its approval is used up."""
    return (
        task.status in ("cancelled", "expired")
        or task.revoked
        or (task.approval is not None and task.used >= task.uses)
    )


def _call(session: Session, call: ToolCall) -> str:
    return f"{session.id}:{_wanted(call).scope.digest}"


def shown(task: Task, call: ToolCall) -> dict[str, Any]:
    """What a person is shown of it, as JSON has it: exactly what would run."""
    return {
        "type": "policyengine.approval",
        "task": task.id,
        "tool": call.tool,
        "arguments": dict(call.proposed),
        "reason": call.reason,
        "by": [str(one.by.get("id")) for one in call.approvals],
    }


def _wanted(call: ToolCall) -> Any:
    if call.grant is None or call.grant.access_request is None:
        raise ValueError("more than an approval is missing")
    return call.grant.access_request


def _submission(session: Session, digest: str, id_: str) -> Submission:
    once = sha256(f"{len(session.id)}:{session.id}{len(id_)}:{id_}{digest}".encode()).hexdigest()
    return Submission(once=f"agent:{once}", body=digest)
