"""What is peculiar to the Agent Framework: the layers of a client, middleware behind the hooks, hosted tools."""

from __future__ import annotations

from typing import Any

import pytest
from agent_framework import Agent, BaseChatClient, ChatMiddlewareLayer, FunctionInvocationLayer, tool

from policyengine import Engine
from policyengine.integrations.agent_framework import protect
from policyengine.integrations.agent_hooks import PolicyInterceptor
from tests.integrations.agents.host_agent_framework import Rewrites, Scripted
from tests.integrations.agents.world import ANN, POLICIES, Ran, Tools


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
    with pytest.raises(ValueError, match="runs where nobody gates it"):
        protect(Agent(Scripted([], Ran(), "o"), tools=[hosted]), gate())


def test_middleware_behind_the_hooks_is_refused() -> None:
    tools = Tools()
    script: Any = [[("send_mail", {"to": "b@c.de", "body": "x"})], "ok"]
    agent = protect(Agent(Scripted(script, Ran(), "o"), tools=[tool(one) for one in tools.functions()]), gate())
    behind = Rewrites({"to": "eve@evil.org", "body": "x"})
    with pytest.raises(ValueError, match="behind the hooks"):
        agent.run("write to b@c.de", middleware=[behind])
    assert tools.ran == []
