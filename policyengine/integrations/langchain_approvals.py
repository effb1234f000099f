"""Approvals as interrupts of a graph: a call that needs a person stops the run until somebody has decided.

A person approves exactly what runs: the approval is bound to this call, with these arguments. The value that resumes
the run is not trusted; the store knows the decision. Other arguments are another call, which needs a new approval.
"""

from __future__ import annotations

from langchain.agents.middleware import ToolCallRequest
from langgraph.config import get_config
from langgraph.types import interrupt

from policyengine.call_approvals import ask, ask_async, shown
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.run_call import Approve, ApproveAsync
from policyengine.gate.session import Session

# Where a graph keeps it while it runs.
_CHECKPOINTER = "__pregel_checkpointer"


def needs_checkpointer() -> None:
    """Raises ValueError in a graph that has none: what is interrupted there could never go on."""
    if get_config()["configurable"].get(_CHECKPOINTER) is None:
        raise ValueError("approvals that interrupt a run take a checkpointer, so that it can go on")


def by_interrupt(engine: Engine, request: ToolCallRequest) -> Approve:
    """How a call in a graph is approved. It takes a checkpointer."""
    id_ = str(request.tool_call["id"])

    def approve(session: Session, call: ToolCall) -> str | None:
        task = ask(engine, session, call, id_)
        while task.status == "pending":
            needs_checkpointer()
            interrupt(shown(task, call))
            task = engine.approvals.show(task.id)
        return task.approval

    return approve


def by_interrupt_async(engine: Engine, request: ToolCallRequest) -> ApproveAsync:
    """As `by_interrupt`, without blocking the event loop."""
    id_ = str(request.tool_call["id"])

    async def approve(session: Session, call: ToolCall) -> str | None:
        task = await ask_async(engine, session, call, id_)
        while task.status == "pending":
            needs_checkpointer()
            interrupt(shown(task, call))
            task = await engine.approvals.show_async(task.id)
        return task.approval

    return approve
