"""What is peculiar to Pydantic AI: deferred calls, retries, types of arguments, output tools."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from fastmcp.client.transports import StdioTransport
from pydantic import BaseModel
from pydantic_ai import Agent, DeferredToolRequests, DeferredToolResults, ModelRetry, RunContext
from pydantic_ai.capabilities import NativeTool
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, TextPart
from pydantic_ai.models.function import FunctionModel
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.toolsets import FunctionToolset

from policyengine import Engine
from policyengine.integrations.pydantic_ai import PolicyCapability
from tests.integrations.agents.host_pydantic_ai import says
from tests.integrations.agents.world import ANN, INJECTED, POLICIES, Ran, Script, Tools

APPROVED = POLICIES + 'require person: call on Tool::"send_mail" approval(by: Group::"finance", within: 15m)\n'
CLEO = {"type": "User", "id": "cleo", "tenant": "acme", "roles": [], "parents": [{"type": "Group", "id": "finance"}]}
MAIL = ("send_mail", {"to": "b@c.de", "body": "x"})


def test_a_call_that_needs_a_person_is_deferred_until_somebody_approved_it() -> None:
    tools, engine = Tools(), Engine.from_text(APPROVED)
    session = engine.session(principal=ANN, prompt="write to b@c.de")
    kinds: list[Any] = [str, DeferredToolRequests]
    gate = PolicyCapability(session, engine=engine)
    script = [[MAIL], "ok"]
    agent = Agent(says(script, Ran()), tools=tools.functions(), output_type=kinds, capabilities=[gate])  # type: ignore[arg-type]
    first = agent.run_sync("write to b@c.de")
    (waiting,) = first.output.approvals
    task = first.output.metadata[waiting.tool_call_id]["task"]
    # That a framework says it was approved is not what counts.
    claimed = DeferredToolResults(approvals={waiting.tool_call_id: True})
    again = agent.run_sync(message_history=first.all_messages(), deferred_tool_results=claimed)
    assert (tools.ran, again.output.metadata[waiting.tool_call_id]["task"]) == ([], task)
    engine.approvals.approve(task, CLEO)
    final = agent.run_sync(message_history=first.all_messages(), deferred_tool_results=claimed)
    assert (final.output, tools.ran) == ("ok", [("send_mail", "b@c.de", "x")])


class Letter(BaseModel):
    body: str


LETTERS = """
module m
use ai
tool post(letter: { body: String }) { sends_outside: true, reads_untrusted: false }
permit post: call on Tool::"post" for User
require scrub: call on Tool::"post" replace(["email"], with: "(address)")
"""


def test_changed_arguments_are_of_the_tools_types() -> None:
    posted: list[Letter] = []

    def post(letter: Letter) -> str:
        posted.append(letter)
        return "ok"

    session = Engine.from_text(LETTERS).session(principal=ANN)
    script = [[("post", {"letter": {"body": "to eve@evil.org"}})], "ok"]
    agent = Agent(says(script, Ran()), tools=[post], capabilities=[PolicyCapability(session)])  # type: ignore[arg-type]
    agent.run_sync("go")
    assert posted == [Letter(body="to (address)")]


def test_what_a_tool_asks_to_be_retried_with_is_looked_at() -> None:
    async def broken(name: str) -> str:
        raise ModelRetry(INJECTED)

    ran = Ran()
    session = Engine.from_text(POLICIES).session(principal=ANN)
    script = [[("broken", {"name": "x"})], "ok"]
    agent = Agent(says(script, ran), tools=[broken], capabilities=[PolicyCapability(session)])  # type: ignore[arg-type]
    assert agent.run_sync("go").output == "ok"
    assert "eve@evil.org" not in ran.seen
    assert "[email]" in ran.seen


def test_what_is_said_through_an_output_tool_is_released_or_ends_the_run() -> None:
    gate = PolicyCapability(Engine.from_text(POLICIES).session(principal=ANN), output={"tenant": "acme"})
    script = [[("final_result", {"body": "to eve@evil.org"})]]
    agent = Agent(says(script, Ran()), output_type=Letter, capabilities=[gate])  # type: ignore[arg-type]
    with pytest.raises(PermissionError):
        agent.run_sync("go")


def test_a_value_that_is_split_over_parts_of_an_answer_is_released_as_one() -> None:
    gate = PolicyCapability(Engine.from_text(POLICIES).session(principal=ANN), output={"tenant": "acme"})
    said = ModelResponse([TextPart("I wrote to bob@ac"), TextPart("me.com.")])
    agent = Agent(FunctionModel(lambda *_: said), capabilities=[gate])  # type: ignore[arg-type]
    assert agent.run_sync("go").output == "I wrote to [email]."


def test_what_an_output_function_says_is_released_or_ends_the_run() -> None:
    def letter(body: str) -> str:
        """Write a letter."""
        return body

    gate = PolicyCapability(Engine.from_text(POLICIES).session(principal=ANN), output={"tenant": "acme"})
    for body, leaves in (("hello", True), ("to eve@evil.org", False)):
        script = [[("final_result", {"body": body})]]
        agent = Agent(says(script, Ran()), output_type=letter, capabilities=[gate])  # type: ignore[arg-type]
        if leaves:
            assert agent.run_sync("go").output == body
            continue
        with pytest.raises(PermissionError):
            agent.run_sync("go")


def test_a_capability_that_did_not_see_the_run_begin_gates_nothing_and_runs_nothing() -> None:
    async def begun() -> None:
        gate = PolicyCapability(Engine.from_text(POLICIES).session(principal=ANN))
        with pytest.raises(LookupError):
            gate.get_wrapper_toolset(None)  # type: ignore[arg-type]

    asyncio.run(begun())


def test_tools_of_the_provider_are_refused() -> None:
    ran = Ran()
    gate = PolicyCapability(Engine.from_text(POLICIES).session(principal=ANN))
    model = says(["hello"], ran)
    model.profile = {**model.profile, "supported_native_tools": frozenset({WebSearchTool})}  # type: ignore[misc]
    agent = Agent(model, capabilities=[NativeTool(WebSearchTool()), gate])
    with pytest.raises(PermissionError, match="runs where it cannot be gated"):
        agent.run_sync("go")
    assert ran.shown == []


def test_the_tools_of_an_mcp_server_and_those_added_in_a_run_are_gated(tmp_path: Path) -> None:
    ran, tools, log = Ran(), Tools(), tmp_path / "ran"
    server = StdioTransport(sys.executable, [str(Path(__file__).parents[2] / "mcp" / "server.py"), str(log)])
    later = FunctionToolset([one for one in tools.functions() if one.__name__ == "slow"])
    script = [
        [("read_page", {"url": "acme.com"})],
        [("send_mail", {"to": "eve@evil.org", "body": "x"})],
        [("slow", {"name": "x"}), ("drop_table", {"name": "users"})],
        "ok",
    ]
    gate = PolicyCapability(Engine.from_text(POLICIES).session(principal=ANN, prompt="read acme.com"))
    agent = Agent(says(script, ran), toolsets=[MCPToolset(server)], capabilities=[gate])  # type: ignore[arg-type]

    @agent.toolset
    def added(ctx: RunContext[Any]) -> Any:
        return later if ctx.run_step > 1 else None

    assert agent.run_sync("read acme.com").output == "ok"
    assert log.read_text().splitlines() == ["read_page acme.com"]
    assert tools.ran == [("slow", "x")]
    assert "`send_mail` may not run" in ran.seen
    assert "drop_table" not in str(ran.shown)


def test_an_agent_within_a_tool_is_gated_without_a_capability_of_its_own() -> None:
    tools = Tools()
    inner = Agent(
        says([[("drop_table", {"name": "u"}), ("slow", {"name": "x"})], "inner"], Ran()), tools=tools.functions()
    )

    async def helper(input: str) -> str:
        return str((await inner.run(input)).output)

    gate = Engine.from_text(POLICIES).session(principal=ANN)
    script: Script = [[("helper", {"input": "x"})], "ok"]
    agent = Agent(says(script, Ran()), tools=[helper], capabilities=[PolicyCapability(gate)])
    assert agent.run_sync("go").output == "ok"
    assert tools.ran == [("slow", "x")]


def test_an_agent_within_a_tool_with_a_capability_is_gated_once() -> None:
    tools, calls = Tools(), list[str]()
    gate = Engine.from_text(POLICIES).session(principal=ANN)
    inner = Agent(
        says([[("slow", {"name": "x"})], "inner"], Ran()),
        tools=tools.functions(),
        capabilities=[PolicyCapability(gate)],
    )

    async def helper(input: str) -> str:
        return str((await inner.run(input)).output)

    decide = gate.call_async

    async def counted(tool: str, arguments: Any, **more: Any) -> Any:
        calls.append(tool)
        return await decide(tool, arguments, **more)

    gate.call_async = counted  # type: ignore[method-assign]
    script: Script = [[("helper", {"input": "x"})], "ok"]
    agent = Agent(says(script, Ran()), tools=[helper], capabilities=[PolicyCapability(gate)])
    assert agent.run_sync("go").output == "ok"
    assert (calls, tools.ran) == (["helper", "slow"], [("slow", "x")])


@pytest.mark.parametrize("way", ["tools", "toolsets", "added", "of a run"])
def test_tools_that_an_agent_is_given_anew_are_gated(way: str) -> None:
    tools = Tools()
    gate = Engine.from_text(POLICIES).session(principal=ANN)
    script: Script = [[("drop_table", {"name": "u"})], "ok"]
    agent: Any = Agent(says(script, Ran()), capabilities=[PolicyCapability(gate)])
    given = FunctionToolset(tools.functions())
    overridden: Any = {"tools": tools.functions()} if way == "tools" else {}
    if way == "toolsets":
        overridden = {"toolsets": [given]}
    if way == "added":
        for one in tools.functions():
            agent.tool_plain(one)
    with agent.override(**overridden):
        assert agent.run_sync("go", toolsets=[given] if way == "of a run" else None).output == "ok"
    assert tools.ran == []


def test_two_capabilities_with_something_else_each_are_refused() -> None:
    engine = Engine.from_text(POLICIES)
    first, second = engine.session(principal=ANN), engine.session(principal=ANN)
    gates = [PolicyCapability(first)]
    for other in (PolicyCapability(second), PolicyCapability(first, output={"tenant": "acme"})):
        agent = Agent(says(["ok"], Ran()), tools=Tools().functions(), capabilities=[*gates, other])
        with pytest.raises(ValueError, match="gates this agent already"):
            asyncio.run(agent.run("hi"))
