"""What is peculiar to the Agent Framework: the layers of a client, middleware behind the hooks, hosted tools."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    FunctionInvocationLayer,
    MCPStdioTool,
    RawAgent,
    tool,
)
from agent_hooks import EnforcementMode
from agent_hooks.ctk import RunOutcome, Scenario, load_vectors, run_vectors

from policyengine import Engine
from policyengine.integrations.agent_framework import protect
from policyengine.integrations.agent_hooks import PolicyInterceptor
from tests.integrations.agents.framework_kit import FrameworkHarness, ending_at_faults
from tests.integrations.agents.host_agent_framework import Rewrites, Scripted
from tests.integrations.agents.test_agent_hooks import EVERYTHING, Checked
from tests.integrations.agents.world import ANN, POLICIES, Ran, Script, Tools


def gate() -> PolicyInterceptor:
    return PolicyInterceptor(Engine.from_text(POLICIES), principal=ANN)


class WrongOrder(ChatMiddlewareLayer[Any], FunctionInvocationLayer[Any], BaseChatClient[Any]):  # type: ignore[misc]
    async def _inner_get_response(self, **_: Any) -> Any: ...  # type: ignore[override]


class NoLayers(BaseChatClient[Any]):
    async def _inner_get_response(self, **_: Any) -> Any: ...  # type: ignore[override]


@pytest.mark.parametrize("client", [WrongOrder, NoLayers])
def test_an_agent_whose_client_calls_no_hooks_does_not_start(client: Any) -> None:
    with pytest.raises(ValueError, match="protect: "):
        protect(Agent(client()), gate())


def test_a_tool_that_is_no_function_is_refused() -> None:
    hosted: Any = {"type": "web_search"}
    with pytest.raises(ValueError, match="runs where it cannot be gated"):
        protect(Agent(Scripted([], Ran(), "o"), tools=[hosted]), gate())


def test_middleware_behind_the_hooks_is_refused() -> None:
    tools = Tools()
    script: Any = [[("send_mail", {"to": "b@c.de", "body": "x"})], "ok"]
    agent = protect(Agent(Scripted(script, Ran(), "o"), tools=[tool(one) for one in tools.functions()]), gate())
    behind = Rewrites({"to": "eve@evil.org", "body": "x"})
    with pytest.raises(ValueError, match="behind the hooks"):
        agent.run("write to b@c.de", middleware=[behind])
    assert tools.ran == []


def test_tools_of_a_run_are_gated_and_those_that_run_elsewhere_refused(tmp_path: Path) -> None:
    tools, ran, log = Tools(), Ran(), tmp_path / "ran"
    server = MCPStdioTool(
        "server", sys.executable, args=[str(Path(__file__).parents[2] / "mcp" / "server.py"), str(log)]
    )
    script: Script = [
        [("read_page", {"url": "acme.com"})],
        [("send_mail", {"to": "eve@evil.org", "body": "x"})],
        [("slow", {"name": "x"}), ("drop_table", {"name": "users"})],
        "ok",
    ]
    later: Any = [tool(one) for one in tools.functions() if one.__name__ == "slow"]

    async def work() -> str:
        async with server:
            agent = protect(Agent(Scripted(script, ran, "o")), gate())
            return (await agent.run("read acme.com", tools=[server, *later])).text

    assert asyncio.run(work()) == "ok"
    assert log.read_text().splitlines() == ["read_page acme.com"]
    assert tools.ran == [("slow", "x")]
    for given in ({"tools": [{"type": "web_search"}]}, {"options": {"tools": {"type": "web_search"}}}):
        with pytest.raises(ValueError, match="runs where it cannot be gated"):
            protect(Agent(Scripted([], Ran(), "o")), gate()).run("go", **given)  # type: ignore[call-overload]


def test_the_kit_passes_on_the_framework() -> None:
    # A document that does not say that a fault at a tool ends the run is refused here, as the contract wants it.
    vectors = [ending_at_faults(one) for one in load_vectors()]
    results = run_vectors(FrameworkHarness, vectors)
    # What the framework puts out is all messages of a run, not only what is said at its end.
    assert [one.id for one in results if one.status == "fail"] == ["AH-CTK-001"]
    # The framework holds a stream back until its end, and releases no part of it before.
    streamed = [f"AH-CTK-11{at}" for at in range(4)]
    assert {one.id: one.detail for one in results if one.status == "skip"} == dict.fromkeys(
        streamed, 'missing capabilities: ["incremental_output"]'
    )
    assert sum(one.status == "pass" for one in results) == len(vectors) - 5


def test_every_context_of_the_framework_has_a_verdict_of_the_contracts_schema() -> None:
    verdicts: list[Any] = []
    engine = Engine.from_text(EVERYTHING)
    for vector in load_vectors():
        if "scenario" in vector:
            ours = PolicyInterceptor(engine, principal=ANN, model={}, output={"tenant": "acme"})
            checked, harness = Checked(ours), FrameworkHarness()
            harness.setup(Scenario.from_wire(vector["scenario"]), [checked], None, EnforcementMode.ENFORCE)
            assert asyncio.run(harness.run()).outcome is not RunOutcome.ERROR
            verdicts += checked.verdicts
    assert len(verdicts) > 400
    assert not any(str(one.get("reason")).startswith("runtime_error") for one in verdicts)


@pytest.mark.parametrize("change", ["assigned", "cleared", "behind"])
def test_an_agent_that_has_lost_its_hooks_does_not_run(change: str) -> None:
    tools = Tools()
    script: Any = [[("drop_table", {"name": "u"})], "ok"]
    agent = protect(Agent(Scripted(script, Ran(), "o"), tools=[tool(one) for one in tools.functions()]), gate())
    kept: Any = agent.middleware
    if change == "assigned":
        agent.middleware = []
    elif change == "cleared":
        kept.clear()
    else:
        kept.append(Rewrites({"name": "y"}))
    with pytest.raises(ValueError, match="protect it again"):
        agent.run("go")
    assert tools.ran == []


def test_what_an_agent_is_given_anew_is_gated_or_refused() -> None:
    tools = Tools()
    script: Any = [[("drop_table", {"name": "u"})], "ok"]
    agent = protect(Agent(Scripted(script, Ran(), "o")), gate())
    agent.default_options["tools"] = [tool(one) for one in tools.functions()]
    assert asyncio.run(_ran(agent)) == "ok"
    assert tools.ran == []
    agent.default_options["tools"] = [{"type": "web_search"}]
    with pytest.raises(ValueError, match="runs where it cannot be gated"):
        agent.run("go")
    del agent.default_options["tools"]
    agent.client = WrongOrder()
    with pytest.raises(ValueError, match="has to come before"):
        agent.run("go")


async def _ran(agent: Any) -> str:
    return str((await agent.run("go")).text)


@pytest.mark.parametrize("as_tool", [False, True])
def test_an_agent_within_a_tool_is_gated_or_refused_there(as_tool: bool) -> None:
    tools = Tools()

    def outer(inner: Agent) -> tuple[Agent, Ran]:
        @tool
        async def helper(input: str) -> str:
            return await _ran(inner)

        ran = Ran()
        script: Any = [[("helper", {"input": "x"})], "ok"]
        within: Any = inner.as_tool(name="helper", arg_name="input") if as_tool else helper
        return protect(Agent(Scripted(script, ran, "o"), tools=[within]), gate()), ran

    script: Any = [[("drop_table", {"name": "u"}), ("slow", {"name": "x"})], "inner"]
    inner = Agent(Scripted(script, Ran(), "i"), name="inner", tools=[tool(one) for one in tools.functions()])
    agent, _ = outer(inner)
    assert asyncio.run(_ran(agent)) == "ok"
    assert tools.ran == [("slow", "x")]
    assert not inner.middleware
    agent, ran = outer(Agent(WrongOrder(), name="inner"))
    assert asyncio.run(_ran(agent)) == "ok"
    assert "Error" in ran.seen


def test_an_agent_without_a_layer_for_middleware_is_refused() -> None:
    with pytest.raises(ValueError, match="no layer that calls middleware"):
        protect(RawAgent(Scripted([], Ran(), "o")), gate())


def test_an_agent_with_the_hooks_of_another_interceptor_is_refused() -> None:
    engine = Engine.from_text(POLICIES)
    gate = PolicyInterceptor(engine, principal=ANN)
    agent = protect(Agent(Scripted([], Ran(), "a"), name="a"), gate)
    with pytest.raises(ValueError, match="another interceptor"):
        protect(agent, PolicyInterceptor(engine, principal=ANN))
    before = list(agent.middleware or ())
    assert len(protect(agent, gate).middleware or ()) == len(before)


def test_an_agent_that_has_lost_its_hooks_runs_once_it_is_protected_again() -> None:
    gate = PolicyInterceptor(Engine.from_text(POLICIES), principal=ANN)
    agent = protect(Agent(Scripted(["ok"], Ran(), "a"), name="a"), gate)
    agent.middleware = []
    assert asyncio.run(protect(agent, gate).run("hi")).text == "ok"
