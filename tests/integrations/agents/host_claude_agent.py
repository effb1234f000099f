"""The Claude Agent SDK, with its own program and a scripted API."""

from __future__ import annotations

import inspect
import tempfile
from typing import Any

from claude_agent_sdk import ClaudeAgentOptions, ResultMessage, create_sdk_mcp_server, query, tool

from policyengine.integrations.claude_agent import protect
from tests.integrations.agents.model_api import answering
from tests.integrations.agents.world import ANN, Asks, Ran, finished

PREFIX = "mcp__t__"


def named(name: str) -> str:
    return name.removeprefix(PREFIX)


def server(functions: Any) -> Any:
    def made(one: Any) -> Any:
        async def call(arguments: dict[str, Any]) -> dict[str, Any]:
            return {"content": [{"type": "text", "text": await one(**arguments)}]}

        return tool(one.__name__, str(one.__doc__), dict.fromkeys(inspect.signature(one).parameters, str))(call)

    return create_sdk_mcp_server("t", tools=[made(one) for one in functions])


def alone(url: str, home: str) -> dict[str, str]:
    """The environment of a program that knows nothing of this machine but the API."""
    quiet = dict.fromkeys(("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_TELEMETRY"), "1")
    own = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "HOME": home, "CLAUDE_CONFIG_DIR": home}
    return {**quiet, **own}


def options(url: str, functions: Any, home: str, **more: Any) -> ClaudeAgentOptions:
    given: dict[str, Any] = {
        "tools": [],
        "max_turns": 10,
        "allowed_tools": [PREFIX + one.__name__ for one in functions],
    }
    return ClaudeAgentOptions(
        mcp_servers={"t": server(functions)}, setting_sources=[], env=alone(url, home), cwd=home, **{**given, **more}
    )


def run(asks: Asks) -> Ran:
    ran = Ran()

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        with (
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
            answering(asks.script, ran, PREFIX) as url,
        ):
            gated = protect(
                options(url, asks.tools.functions(), home, include_partial_messages=asks.streamed), session, named=named
            )
            found = None
            async for message in query(prompt=asks.prompt or "go", options=gated):
                if isinstance(message, ResultMessage):
                    found = message.result
            return found

    result = finished(ran, work, asks)
    if result is not None:
        ran.final = str(result)
    return ran
