"""An agent of Google's Agent Development Kit behind the gate: `pip install '.[google-adk]'`, and `python
docs/examples/with_google_adk.py`."""

from __future__ import annotations

import asyncio
from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from google.adk.agents import LlmAgent
from google.adk.runners import InMemoryRunner
from google.genai import types

from policyengine.integrations.google_adk import PolicyPlugin


async def run(model: Any) -> str:
    """What a model says at the end; the plugin sees every agent of the runner."""
    agent = LlmAgent(name="payer", model=model, tools=[read_web, send_money])
    gate = PolicyPlugin(ENGINE, principal=ANN, output={"tenant": "acme"})
    runner = InMemoryRunner(agent=agent, app_name="bank", plugins=[gate])
    kit = await runner.session_service.create_session(app_name="bank", user_id="ann")
    prompt = types.Content(role="user", parts=[types.Part(text=PROMPT)])
    said = ""
    async for event in runner.run_async(user_id="ann", session_id=kit.id, new_message=prompt):
        said = "".join(part.text or "" for part in (event.content.parts if event.content else None) or ())
    return said


if __name__ == "__main__":
    print(asyncio.run(run("gemini-3-pro-preview")), "- paid:", PAID)
