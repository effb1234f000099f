"""LangChain: tools that other middleware adds while an agent runs, and calls that it tries again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolRetryMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import StructuredTool

from policyengine import Engine
from policyengine.integrations.langchain_agent import PolicyMiddleware
from tests.integrations.agents.host_langchain import says
from tests.integrations.agents.world import ANN, INJECTED, POLICIES, Ran, Script, Tools


class Adds(AgentMiddleware):
    """Has tools that the agent does not know."""

    def __init__(self, *tools: Any) -> None:
        super().__init__()
        self.more = {one.name: one for one in tools}

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(request.override(tools=[*request.tools, *self.more.values()]))

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        tool = self.more.get(request.tool_call["name"])
        return await handler(request.override(tool=tool) if tool is not None else request)


def play(script: Script, ran: Ran, before: list[Any], tools: list[Any], policies: str = POLICIES) -> Any:
    gate = PolicyMiddleware(Engine.from_text(policies), principal=ANN)
    agent = create_agent(says(script, ran), tools, middleware=[*before, gate])
    return asyncio.run(agent.ainvoke({"messages": [HumanMessage("go")]}))["messages"][-1].text


def test_a_tool_that_other_middleware_adds_is_gated() -> None:
    tools, ran = Tools(), Ran()
    functions = {one.__name__: StructuredTool.from_function(coroutine=one) for one in tools.functions()}
    script: Script = [[("slow", {"name": "x"})], [("drop_table", {"name": "users"})], "ok"]
    added = [Adds(functions["slow"], functions["drop_table"])]
    assert play(script, ran, added, [functions["read_page"]]) == "ok"
    assert tools.ran == [("slow", "x")]
    assert set(ran.shown[0]) == {"read_page", "slow"}


def test_a_call_that_other_middleware_tries_again_is_decided_and_charged_each_time() -> None:
    tools, ran = Tools(), Ran()
    broken = next(StructuredTool.from_function(coroutine=one) for one in tools.functions() if one.__name__ == "broken")
    retry = ToolRetryMiddleware(max_retries=3, initial_delay=0.0, jitter=False)
    limited = POLICIES + 'limit tries: call on Tool::"broken" at most 2 requests per 1h by principal\n'
    assert play([[("broken", {"name": "x"})], "ok"], ran, [retry], [broken], limited) == "ok"
    assert tools.ran == [("broken", "x")] * 2
    assert "`broken` is over a limit" in ran.seen
    assert INJECTED not in ran.seen


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_run_that_could_never_go_on_does_not_begin(asynchronous: bool) -> None:
    ran = Ran()
    gate = PolicyMiddleware(Engine.from_text(POLICIES), principal=ANN, interrupt=True)
    agent = create_agent(says(["ok"], ran), [], middleware=[gate])
    given: Any = {"messages": [HumanMessage("go")]}
    with pytest.raises(ValueError, match="take a checkpointer"):
        asyncio.run(agent.ainvoke(given)) if asynchronous else agent.invoke(given)
    assert ran.shown == []
