"""Approvals for agents: a call that needs a person becomes a request for approval, and its approval is looked up.

Nothing that comes back from a framework is believed: whether somebody said yes is in the store, and an approval is
bound to exactly the call for which it was asked.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.session import Session
from policyengine.state.tasks import Submission, Task


def ask(engine: Engine, session: Session, call: ToolCall, id_: str) -> Task:
    """The request for approval of a call; the same one where the same call of this id comes again, as it does in a run
    that is resumed. Raises ApprovalError and StoreError."""
    wanted = _wanted(call)
    return engine.approvals.request(wanted, asking=_asking(session, wanted.scope.digest, id_))


async def ask_async(engine: Engine, session: Session, call: ToolCall, id_: str) -> Task:
    """As `ask`, without blocking the event loop."""
    wanted = _wanted(call)
    return await engine.approvals.request_async(wanted, asking=_asking(session, wanted.scope.digest, id_))


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


def _asking(session: Session, digest: str, id_: str) -> Submission:
    once = sha256(f"{len(session.id)}:{session.id}{len(id_)}:{id_}{digest}".encode()).hexdigest()
    return Submission(once=f"agent:{once}", body=digest)
