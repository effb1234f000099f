"""An agent of AutoGen behind the gate: `pip install '.[autogen]' 'autogen-ext[openai]'`, and `python
docs/examples/with_autogen.py`."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money

from policyengine.integrations.autogen import protect


async def run(client: Any) -> str:
    """What a model says at the end."""
    agent = AssistantAgent("payer", model_client=client, tools=[read_web, send_money], max_tool_iterations=10)
    session = await ENGINE.session_async(principal=ANN, prompt=PROMPT)
    result = await protect(agent, session, output={"tenant": "acme"}).run(task=PROMPT)
    return str(result.messages[-1].to_text())


if __name__ == "__main__":
    openai = import_module("autogen_ext.models.openai")
    print(asyncio.run(run(openai.OpenAIChatCompletionClient(model="gpt-5"))), "- paid:", PAID)
