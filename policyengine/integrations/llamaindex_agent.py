"""LlamaIndex agents: the same tools, each gated by a session.

    agent = FunctionAgent(tools=protect(tools, session), llm=llm)

LlamaIndex has no place between an agent and its tools, so what runs is wrapped itself: it is then gated whoever calls
it, every agent of an `AgentWorkflow` among them. What an agent is asked with and says is not seen here; use
`session.admit` and `session.release` around it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from llama_index.core.agent.workflow import BaseWorkflowAgent, CodeActAgent
from llama_index.core.tools import AsyncBaseTool, BaseTool, FunctionTool, ToolOutput, adapt_to_async_tool

from policyengine.gate.running import run, run_async
from policyengine.gate.session import Session


def protect(tools: Sequence[BaseTool | Callable[..., Any]], session: Session) -> list[BaseTool]:
    """The tools that the session could call, each of them gated. Raises ValueError for a tool that a workflow gives
    more arguments than a model does: those come only to the tool itself."""
    made = [tool if isinstance(tool, BaseTool) else FunctionTool.from_defaults(tool) for tool in tools]
    shown = set(session.tools([str(tool.metadata.name) for tool in made]))
    return [_protected(tool, session) for tool in made if tool.metadata.name in shown]


A = TypeVar("A", bound=BaseWorkflowAgent)


def protect_agents(agents: Sequence[A], session: Session) -> list[A]:
    """The same agents, each with gated tools, such as those of an `AgentWorkflow` that hand over to each other.
    Raises ValueError for an agent that has other ways to act."""
    for agent in agents:
        if isinstance(agent, CodeActAgent):
            raise ValueError(f"protect: `{agent.name}` runs code that calls tools, and nothing can stand between them")
        if agent.tool_retriever is not None:
            raise ValueError(f"protect: `{agent.name}` finds tools while it runs, which nobody wraps")
        agent.tools = list(protect(agent.tools or [], session))
    return list(agents)


def _protected(tool: BaseTool, session: Session) -> BaseTool:
    name = str(tool.metadata.name)
    if isinstance(tool, FunctionTool) and (tool.requires_context or tool.partial_params):
        raise ValueError(f"protect: `{name}` is given arguments that no model gives, and they cannot be decided about")
    behind: AsyncBaseTool = adapt_to_async_tool(tool)

    def call(**arguments: Any) -> Any:
        return run(session, name, arguments, lambda final: _said(behind.call(**final))).value

    async def call_async(**arguments: Any) -> Any:
        async def perform(final: dict[str, Any]) -> Any:
            return _said(await behind.acall(**final))

        return (await run_async(session, name, arguments, perform)).value

    return FunctionTool(call, tool.metadata, async_fn=call_async)


def _said(output: ToolOutput) -> str:
    """What a model is given of it."""
    return output.content
