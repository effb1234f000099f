"""An agent of the Claude Agent SDK behind the gate: `pip install '.[claude-agent]'`, and `python
docs/examples/with_claude_agent.py`."""

from __future__ import annotations

import asyncio
from typing import Any

from bank import ANN, ENGINE, PAID, PROMPT, read_web, send_money
from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, create_sdk_mcp_server, query, tool

from policyengine.integrations.claude_agent import protect

# The program calls a tool of the server `bank` so; policies call it by the rest.
PREFIX = "mcp__bank__"


def text(said: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}]}


@tool("read_web", "Read a page.", {"url": str})
async def reading(given: dict[str, Any]) -> dict[str, Any]:
    return text(read_web(**given))


@tool("send_money", "Send money.", {"recipient": str, "amount": float})
async def sending(given: dict[str, Any]) -> dict[str, Any]:
    return text(send_money(**given))


async def run(**program: Any) -> str:
    """What a model says at the end; `program` are options of the program."""
    session = await ENGINE.session_async(principal=ANN, prompt=PROMPT)
    options = ClaudeAgentOptions(
        mcp_servers={"bank": create_sdk_mcp_server("bank", tools=[reading, sending])},
        tools=[],
        allowed_tools=[f"{PREFIX}read_web", f"{PREFIX}send_money"],
        setting_sources=[],
        **program,
    )
    gated = protect(options, session, named=lambda name: name.removeprefix(PREFIX))
    said = ""
    async for message in query(prompt=PROMPT, options=gated):
        if isinstance(message, ResultMessage):
            released = await session.release_async(message.result or "", output={"tenant": "acme"})
            said = released.text if released.allowed else released.reason
    return said


if __name__ == "__main__":
    print(asyncio.run(run()), "- paid:", PAID)
