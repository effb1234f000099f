"""An agent of Microsoft's Agent Framework behind the gate: `pip install '.[agent-framework]' agent-framework-openai`,
and `python docs/examples/with_agent_framework.py`."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from agent_framework import Agent, tool
from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money

from policyengine.integrations.agent_framework import protect
from policyengine.integrations.agent_hooks import PolicyInterceptor


async def run(client: Any) -> str:
    """What a model says at the end; the interceptor opens a session for each session of the framework."""
    agent = Agent(client, name="payer", tools=[tool(read_web), tool(send_money)])
    gated = protect(agent, PolicyInterceptor(ENGINE, principal=ANN, output={"tenant": "acme"}))
    return str((await gated.run(PROMPT)).text)


if __name__ == "__main__":
    openai = import_module("agent_framework.openai")
    print(asyncio.run(run(openai.OpenAIChatClient(model="gpt-5"))), "- paid:", PAID)
