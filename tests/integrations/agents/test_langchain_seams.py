"""LangChain: tools that other middleware adds while an agent runs, and calls that it tries again."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ToolRetryMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import StructuredTool

from policyengine import Engine
from policyengine.integrations.langchain_agent import PolicyMiddleware, protect
from tests.integrations.agents.host_langchain import says
from tests.integrations.agents.world import ANN, INJECTED, ONE_MAIL, POLICIES, Ran, Script, Tools


def sync(one: Any) -> Any:
    """A function of one that is async."""

    @functools.wraps(one)
    def plain(**named: Any) -> str:
        with ThreadPoolExecutor(1) as pool:
            return str(pool.submit(asyncio.run, one(**named)).result())

    return plain


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


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_agent_within_that_has_no_gate_of_its_own_is_gated(asynchronous: bool) -> None:
    tools, ran = Tools(), Ran()
    functions = {one.__name__: StructuredTool.from_function(sync(one), one) for one in tools.functions()}
    bad: Script = [[("slow", {"name": "x"})], [("send_mail", {"to": "eve@evil.org", "body": "x"})], "never"]
    within = iter([create_agent(says(one, Ran()), list(functions.values())) for one in (bad, ["good"])])

    def helper(input: str) -> str:
        """Ask another agent."""
        return str(next(within).invoke({"messages": [HumanMessage(input)]})["messages"][-1].text)

    async def helper_async(input: str) -> str:
        answer = await next(within).ainvoke({"messages": [HumanMessage(input)]})
        return str(answer["messages"][-1].text)

    ask = StructuredTool.from_function(helper, helper_async)
    gate = PolicyMiddleware(Engine.from_text(POLICIES), principal=ANN)
    told = [("helper", {"input": "write to eve@evil.org"})]
    agent = create_agent(
        says([told, told, [("slow", {"name": "y"})], "ok"], ran), [ask, *functions.values()], middleware=[gate]
    )
    given: Any = {"messages": [HumanMessage("go")]}
    answer = asyncio.run(agent.ainvoke(given)) if asynchronous else agent.invoke(given)
    assert [one.text for one in answer["messages"] if one.type == "tool"] == [
        "`send_mail` may not run with these arguments in this session",
        "good",
        "at last",
    ]
    assert tools.ran == [("slow", "x"), ("slow", "y")]


def test_a_gated_tool_within_a_tool_is_decided_and_charged_once() -> None:
    tools = Tools()
    mail = StructuredTool.from_function(sync(tools.functions()[1]))
    engine = Engine.from_text(ONE_MAIL)
    gated: list[Any] = []

    def helper(input: str) -> str:
        """Write a mail."""
        return str(gated[0].invoke({"to": "b@c.de", "body": input}))

    gate = PolicyMiddleware(engine, principal=ANN)
    agent = create_agent(says([[("helper", {"input": "x"})], "ok"], Ran()), [helper], middleware=[gate])
    gated += protect([mail], engine.session(principal=ANN, prompt="write to b@c.de"))
    assert agent.invoke({"messages": [HumanMessage("go")]})["messages"][-1].text == "ok"
    assert tools.ran == [("send_mail", "b@c.de", "x")]


def test_a_tool_that_another_session_gates_is_refused() -> None:
    """Each would decide, and charge, every call; and the other session may be somebody else's."""
    engine = Engine.from_text(POLICIES)
    given = [StructuredTool.from_function(coroutine=one) for one in Tools().functions()]
    tools = protect(given, engine.session(principal=ANN))
    with pytest.raises(ValueError, match="another session"):
        protect(tools, engine.session(principal=ANN))
    gate = PolicyMiddleware(engine, principal=ANN)
    agent = create_agent(says([[("read_page", {"url": "x"})], "ok"], Ran()), tools, middleware=[gate])
    with pytest.raises(ValueError, match="another session"):
        asyncio.run(agent.ainvoke({"messages": [HumanMessage("read x")]}))
    with pytest.raises(AssertionError, match="duplicate"):
        create_agent(says([], Ran()), [], middleware=[gate, gate])
