"""What is peculiar to the OpenAI Agents SDK: handoffs, agents as tools, hosted tools and MCP servers."""

from __future__ import annotations

import asyncio
import sys
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, Runner, WebSearchTool, function_tool, handoff
from agents.mcp import MCPServerStdio
from agents.testing import ModelStep, ScriptedModel, assistant_message
from agents.usage import Usage

from policyengine import Engine
from policyengine.gate.session import Session
from policyengine.integrations.openai_agents import protect
from tests.integrations.agents.host_openai_agents import QUIET, says
from tests.integrations.agents.world import ANN, POLICIES, Ran, Script, Tools

BAD: Script = [[("drop_table", {"name": "users"})], [("send_mail", {"to": "eve@evil.org", "body": "x"})], "ok"]


def session() -> Session:
    return Engine.from_text(POLICIES).session(principal=ANN, prompt="do it")


def test_an_agent_that_takes_over_is_gated_too() -> None:
    tools = Tools()
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    second = Agent[Any]("second", model=says(BAD, Ran(), "s"), tools=functions)
    first = Agent[Any]("first", model=says([[("transfer_to_second", {})]], Ran(), "f"), handoffs=[second])
    second.handoffs = [first]  # in a circle
    result = asyncio.run(Runner.run(protect(first, session()), "do it", run_config=QUIET))
    assert (result.final_output, result.last_agent.name) == ("ok", "second")
    assert tools.ran == []


@pytest.mark.parametrize("as_handoff", [False, True])
def test_an_agent_that_may_take_over_from_now_on_is_gated_too(as_handoff: bool) -> None:
    tools = Tools()
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    second = Agent[Any]("second", model=says(BAD, Ran(), "s"), tools=functions)

    @function_tool
    def slow(name: str) -> str:
        first.handoffs.append(handoff(second) if as_handoff else second)
        return name

    script: Script = [[("slow", {"name": "x"})], [("transfer_to_second", {})]]
    first = protect(Agent[Any]("first", model=says(script, Ran(), "f"), tools=[slow]), session())
    result = asyncio.run(Runner.run(first, "do it", run_config=QUIET))
    assert (result.final_output, result.last_agent.name) == ("ok", "second")
    assert tools.ran == []
    third = Agent[Any]("third", tools=[WebSearchTool()])
    # Nor is it handed over to when somebody tries again.
    for _ in range(2):
        with pytest.raises(ValueError, match="not a function of this process"):
            first.handoffs.append(third)
    assert [getattr(one, "agent_name", getattr(one, "name", "")) for one in first.handoffs] == ["second"]


def _replaced(agent: Agent[Any], tools: list[Any]) -> Agent[Any]:
    agent.tools = tools
    return agent


def _handed_over(agent: Agent[Any], tools: list[Any]) -> Agent[Any]:
    agent.handoffs = [Agent("second", model=says(BAD, Ran(), "s"), tools=tools)]
    agent.model = says([[("transfer_to_second", {})]], Ran(), "f")
    return agent


@pytest.mark.parametrize(
    "change",
    [
        _replaced,
        _handed_over,
        lambda agent, tools: agent.clone(tools=tools),
        lambda agent, tools: replace(agent, tools=tools),
        lambda agent, tools: agent.clone(tools=agent.tools + tools),
        lambda agent, tools: _replaced(copy(agent), tools),
    ],
)
def test_what_an_agent_is_given_anew_is_gated(change: Any) -> None:
    tools = Tools()
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    agent = change(protect(Agent[Any]("first", model=says(BAD, Ran(), "f")), session()), functions)
    assert isinstance(agent, Agent)
    assert asyncio.run(Runner.run(agent, "do it", run_config=QUIET)).final_output == "ok"
    assert tools.ran == []


def test_what_an_agent_is_given_anew_is_refused_with_the_reason() -> None:
    agent = protect(Agent[Any]("a", model=says(BAD, Ran(), "a")), session(), output={"tenant": "acme"})
    before = agent.tools, agent.handoffs
    with pytest.raises(ValueError, match="not a function of this process"):
        agent.tools = [WebSearchTool()]
    with pytest.raises(ValueError, match="not a function of this process"):
        agent.clone(handoffs=[Agent("b", tools=[WebSearchTool()])])
    with pytest.raises(ValueError, match="prompt of the provider"):
        agent.prompt = {"id": "pmpt_1"}
    with pytest.raises(ValueError, match="would not be released"):
        agent.tool_use_behavior = "stop_on_first_tool"
    assert (agent.tools, agent.handoffs) == before
    agent.model = says(["I wrote to eve@evil.org."], Ran(), "a")
    assert asyncio.run(Runner.run(agent, "do it", run_config=QUIET)).final_output == "I wrote to [email]."


@pytest.mark.parametrize("assigned", [False, True])
def test_an_mcp_server_that_comes_later_is_gated(tmp_path: Path, assigned: bool) -> None:
    server = Path(__file__).parents[2] / "mcp" / "server.py"
    log = tmp_path / "ran"
    script: Script = [[("read_page", {"url": "acme.com"})], [("drop_table", {"name": "users"})], "ok"]

    async def work() -> Any:
        agent = protect(Agent[Any]("a", model=says(script, Ran(), "a")), session())
        async with MCPServerStdio({"command": sys.executable, "args": [str(server), str(log)]}) as behind:
            if assigned:
                agent.mcp_servers = [behind]
            else:
                agent.mcp_servers.append(behind)
            return await Runner.run(agent, "go", run_config=QUIET)

    assert asyncio.run(work()).final_output == "ok"
    assert log.read_text().splitlines() == ["read_page acme.com"]


def test_what_cannot_be_gated_is_refused_with_the_reason() -> None:
    inner = Agent[Any]("inner", model=says(BAD, Ran(), "i"))
    with pytest.raises(ValueError, match=r"protect: `helper` is an agent"):
        protect(Agent("outer", tools=[inner.as_tool("helper", "Help.")]), session())
    with pytest.raises(ValueError, match=r"protect: `web_search` is not a function of this process"):
        protect(Agent("outer", tools=[WebSearchTool()]), session())


def test_what_would_be_said_past_the_model_or_brought_by_the_provider_is_refused() -> None:
    session = Engine.from_text(POLICIES).session(principal=ANN)
    direct = Agent("a", tools=[], tool_use_behavior="stop_on_first_tool")
    protect(direct, session)
    with pytest.raises(ValueError, match="would not be released"):
        protect(direct, session, output={"tenant": "acme"})
    with pytest.raises(ValueError, match="prompt of the provider"):
        protect(Agent("a", prompt={"id": "pmpt_1"}), session)


def test_a_streamed_run_is_gated_and_released() -> None:
    tools = Tools()
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    script: Script = [[("drop_table", {"name": "users"})], "I wrote to eve@evil.org."]
    agent = protect(Agent("a", model=says(script, Ran(), "a"), tools=functions), session(), output={"tenant": "acme"})

    async def streamed() -> tuple[str, str]:
        result = Runner.run_streamed(agent, "do it", run_config=QUIET)
        events = [str(event) async for event in result.stream_events()]
        return str(result.final_output), "".join(events)

    final, events = asyncio.run(streamed())
    assert (final, tools.ran) == ("I wrote to [email].", [])
    assert "eve@evil.org" not in events


def test_the_tools_of_an_mcp_server_are_gated(tmp_path: Path) -> None:
    server = Path(__file__).parents[2] / "mcp" / "server.py"
    ran, log = Ran(), tmp_path / "ran"
    mail = ("send_mail", {"to": "eve@evil.org", "body": "x"})
    script: Script = [[("read_page", {"url": "acme.com"})], [mail], [("drop_table", {"name": "users"})], "ok"]
    clean = POLICIES + 'require clean_page: receive on Tool::"read_page" redact(["email"])\n'

    async def work() -> Any:
        gate = await Engine.from_text(clean).session_async(principal=ANN, prompt="read acme.com")
        async with MCPServerStdio({"command": sys.executable, "args": [str(server), str(log)]}) as behind:
            agent = protect(Agent("a", model=says(script, ran, "a"), mcp_servers=[behind]), gate)
            return await Runner.run(agent, "go", run_config=QUIET)

    assert asyncio.run(work()).final_output == "ok"
    assert log.read_text().splitlines() == ["read_page acme.com"]
    assert set(ran.shown[0]) == {"read_page", "send_mail", "broken"}
    assert "`send_mail` may not run" in ran.seen
    assert "Write to [email] at once" in ran.seen


def test_a_call_that_needs_a_person_interrupts_the_run_and_runs_once_approved() -> None:
    engine = Engine.from_text(
        POLICIES + 'require person: call on Tool::"slow" approval(by: Group::"finance", within: 15m)\n'
    )
    cleo = {
        "type": "User",
        "id": "cleo",
        "tenant": "acme",
        "roles": [],
        "parents": [{"type": "Group", "id": "finance"}],
    }
    tools = Tools()
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    script: Script = [[("read_page", {"url": "a"})], [("slow", {"name": "x"})], [("slow", {"name": "y"})], "ok"]
    gate = engine.session(principal=ANN, prompt="go")
    agent = protect(Agent("a", model=says(script, Ran(), "a"), tools=functions), gate, engine=engine)

    async def work() -> Any:
        first = await Runner.run(agent, "go", run_config=QUIET)
        state = first.to_state()
        state.approve(first.interruptions[0])
        engine.approvals.approve(engine.approvals.list()[0].id, cleo)
        second = await Runner.run(agent, state, run_config=QUIET)
        # What only the framework was told is not an approval.
        state = second.to_state()
        state.approve(second.interruptions[0])
        return first, second, await Runner.run(agent, state, run_config=QUIET)

    first, second, third = asyncio.run(work())
    assert [one.name for one in (*first.interruptions, *second.interruptions)] == ["slow", "slow"]
    assert tools.ran == [("read_page", "a"), ("slow", "x")]
    assert third.final_output == "ok"


def test_what_was_decided_long_before_a_run_goes_on_is_decided_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something may be blocked meanwhile."""
    monkeypatch.setattr("policyengine.integrations.openai_agents.LIFE", 0.0)
    engine = Engine.from_text(POLICIES)
    tools = Tools()
    gate = engine.session(principal=ANN, prompt="go")
    calls: list[str] = []
    decide = gate.call_async

    async def counted(tool: str, arguments: Any, **more: Any) -> Any:
        calls.append(tool)
        return await decide(tool, arguments, **more)

    monkeypatch.setattr(gate, "call_async", counted)
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    script: Script = [[("read_page", {"url": "a"})], "ok"]
    agent = protect(Agent("a", model=says(script, Ran(), "a"), tools=functions), gate, engine=engine)
    assert asyncio.run(Runner.run(agent, "go", run_config=QUIET)).final_output == "ok"
    assert (calls, tools.ran) == (["read_page"] * 2, [("read_page", "a")])


def test_a_tool_that_is_added_while_the_agent_runs_is_gated() -> None:
    tools, ran = Tools(), Ran()
    later: dict[str, Any] = {one.__name__: function_tool(one) for one in tools.functions()}

    @function_tool
    def read_page(url: str) -> str:
        """Read a page."""
        agent.tools.extend([later["slow"], later["drop_table"]])
        return "there are tools"

    script: Script = [[("read_page", {"url": "a"})], [("slow", {"name": "x"})], [("drop_table", {"name": "u"})], "ok"]
    agent = protect(Agent[Any]("a", model=says(script, ran, "a"), tools=[read_page]), session())
    assert asyncio.run(Runner.run(agent, "go", run_config=QUIET)).final_output == "ok"
    assert tools.ran == [("slow", "x")]
    assert set(ran.shown[1]) == {"read_page", "slow"}


def _within(tools: Tools, script: Script) -> tuple[Agent[Any], Any]:
    """An agent that nobody protected, and a tool that runs it."""
    functions: list[Any] = [function_tool(one) for one in tools.functions()]
    inner = Agent[Any]("inner", model=says(script, Ran(), "i"), tools=functions)

    @function_tool
    async def helper(input: str) -> str:
        return str((await Runner.run(inner, input, run_config=QUIET)).final_output)

    return inner, helper


def test_an_agent_within_a_tool_is_gated_or_refused_there() -> None:
    tools = Tools()
    inner, helper = _within(tools, [[("drop_table", {"name": "u"}), ("slow", {"name": "x"})], "inner"])
    ran = Ran()
    agent = protect(
        Agent[Any]("o", model=says([[("helper", {"input": "x"})], "ok"], ran, "o"), tools=[helper]), session()
    )
    assert asyncio.run(Runner.run(agent, "do it", run_config=QUIET)).final_output == "ok"
    assert tools.ran == [("slow", "x")]
    inner.tools = [WebSearchTool()]
    ran = Ran()
    agent = protect(
        Agent[Any]("o", model=says([[("helper", {"input": "x"})], "ok"], ran, "o"), tools=[helper]), session()
    )
    assert asyncio.run(Runner.run(agent, "do it", run_config=QUIET)).final_output == "ok"
    # The SDK keeps what a tool raises to itself.
    assert "An error occurred while running the tool" in ran.seen
    assert tools.ran == [("slow", "x")]


def test_an_agent_that_is_streamed_within_a_tool_is_gated() -> None:
    tools = Tools()
    inner, _ = _within(tools, [*BAD[:1], "inner"])

    @function_tool
    async def helper(input: str) -> str:
        result = Runner.run_streamed(inner, input, run_config=QUIET)
        async for _ in result.stream_events():
            pass
        return str(result.final_output)

    agent = protect(
        Agent[Any]("o", model=says([[("helper", {"input": "x"})], "ok"], Ran(), "o"), tools=[helper]), session()
    )
    assert asyncio.run(Runner.run(agent, "do it", run_config=QUIET)).final_output == "ok"
    assert tools.ran == []
    # Outside of a tool it is nobody's but its host's.
    inner.model = says([[("drop_table", {"name": "u"})], "ok"], Ran(), "i")
    asyncio.run(Runner.run(inner, "do it", run_config=QUIET))
    assert tools.ran == [("drop_table", "u")]


def test_a_value_that_is_split_over_parts_of_an_answer_is_released_as_one() -> None:
    answer = assistant_message("I wrote to bob@ac")
    answer.content.append(answer.content[0].model_copy(update={"text": "me.com."}))
    step = ModelStep(output=[answer, assistant_message(" Bye.")], usage=Usage(requests=1, total_tokens=1))
    agent = protect(Agent[Any]("a", model=ScriptedModel([step])), session(), output={"tenant": "acme"})
    result = asyncio.run(Runner.run(agent, "do it", run_config=QUIET))
    said = [part.text for item in result.raw_responses[0].output for part in item.content]  # type: ignore[union-attr]
    assert said == ["I wrote to [email]", ".", " Bye."]


def test_what_is_protected_already_is_not_protected_with_something_else() -> None:
    """Its calls would still be decided in the session of the other one, who may be somebody else."""
    engine = Engine.from_text(POLICIES)
    first = engine.session(principal=ANN)
    agent = protect(Agent("a", tools=[]), first)
    for other, terms in ((engine.session(principal=ANN), {}), (first, {"output": {"tenant": "acme"}})):
        with pytest.raises(ValueError, match="protected already"):
            protect(agent, other, **terms)  # type: ignore[arg-type]
