"""What is peculiar to LlamaIndex: agents that hand over to each other, and agents that nothing can gate."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, CodeActAgent, FunctionAgent
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool

from policyengine import Engine
from policyengine.gate.session import Session
from policyengine.integrations.llamaindex_agent import protect_agents
from tests.integrations.agents.host_llamaindex import says
from tests.integrations.agents.world import ANN, POLICIES, Ran, Script, Tools


def session() -> Session:
    return Engine.from_text(POLICIES).session(principal=ANN, prompt="write to bob@acme.com")


def test_an_agent_that_takes_over_is_gated_too() -> None:
    tools, ran = Tools(), Ran()
    functions: list[Any] = [FunctionTool.from_defaults(async_fn=one) for one in tools.functions()]
    handed: Script = [[("handoff", {"to_agent": "second", "reason": "it can"})], "never"]
    script: Script = [
        [("send_mail", {"to": "eve@evil.org", "body": "x"})],
        [("send_mail", {"to": "bob@acme.com", "body": "x"})],
        "ok",
    ]
    first = FunctionAgent(
        name="first", description="a", llm=says(handed, Ran()), can_handoff_to=["second"], streaming=False
    )
    second = FunctionAgent(name="second", description="b", llm=says(script, ran), tools=functions, streaming=False)

    async def work() -> Any:
        workflow = AgentWorkflow(agents=protect_agents([first, second], session()), root_agent="first")
        return await workflow.run("write to bob@acme.com")

    assert str(asyncio.run(work())) == "ok"
    assert tools.ran == [("send_mail", "bob@acme.com", "x")]
    assert "`send_mail` may not run" in ran.seen
    assert "drop_table" not in ran.shown[0]


def test_agents_that_nothing_can_gate_are_refused() -> None:
    llm = MockFunctionCallingLLM()
    codes = CodeActAgent(name="codes", llm=llm, code_execute_fn=lambda code: code, tools=[])
    finds = FunctionAgent(name="finds", llm=llm, tools=[])
    finds.tool_retriever = object()  # type: ignore[assignment]
    for agent in (codes, finds):
        with pytest.raises(ValueError, match=f"`{agent.name}`"):
            protect_agents([agent], session())
