"""LangGraph: a `ToolNode` whose calls pass the gate, for graphs that you build yourself.

    graph.add_node("tools", tool_node(tools, lambda request: request.runtime.context["session"]))

The gate is inside any `wrap_tool_call` of your own, so that it decides about a call after you have rewritten it. A
graph within a tool has its own node; give it the same session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langchain.agents.middleware import ToolCallRequest
from langchain_core.tools import BaseTool
from langgraph.prebuilt import ToolNode

from policyengine.engine import Engine
from policyengine.gate.session import Session
from policyengine.integrations.langchain_approvals import by_interrupt, by_interrupt_async
from policyengine.integrations.langchain_calls import Answer, run_call, run_call_async

Handler = Callable[[ToolCallRequest], Answer]
HandlerAsync = Callable[[ToolCallRequest], Awaitable[Answer]]
Wrap = Callable[[ToolCallRequest, Handler], Answer]
WrapAsync = Callable[[ToolCallRequest, HandlerAsync], Awaitable[Answer]]


def tool_node(
    tools: Sequence[BaseTool | Callable[..., Any]],
    session: Session | Callable[[ToolCallRequest], Session],
    *,
    engine: Engine | None = None,
    wrap_tool_call: Wrap | None = None,
    awrap_tool_call: WrapAsync | None = None,
    **options: Any,
) -> ToolNode:
    """A `ToolNode` with these options. `session` is the gate of a run, or a function from a call to it. With `engine`,
    a call that needs an approval interrupts the graph, which takes a checkpointer; without it, such a call is denied
    with the reason."""

    def gated(request: ToolCallRequest, handler: Handler) -> Answer:
        approve = by_interrupt(engine, request) if engine is not None else None
        return run_call(_session(session, request), request, handler, approve)

    async def gated_async(request: ToolCallRequest, handler: HandlerAsync) -> Answer:
        approve = by_interrupt_async(engine, request) if engine is not None else None
        return await run_call_async(_session(session, request), request, handler, approve)

    def call(request: ToolCallRequest, handler: Handler) -> Answer:
        if wrap_tool_call is None:
            return gated(request, handler)
        return wrap_tool_call(request, lambda final: gated(final, handler))

    async def call_async(request: ToolCallRequest, handler: HandlerAsync) -> Answer:
        if awrap_tool_call is None:
            return await gated_async(request, handler)
        return await awrap_tool_call(request, lambda final: gated_async(final, handler))

    return ToolNode(tools, wrap_tool_call=call, awrap_tool_call=call_async, **options)


def _session(session: Session | Callable[[ToolCallRequest], Session], request: ToolCallRequest) -> Session:
    return session if isinstance(session, Session) else session(request)
