"""CrewAI: a crew of one agent, within `gated`."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import nullcontext
from typing import Any

os.environ.update(CREWAI_DISABLE_TELEMETRY="true", OTEL_SDK_DISABLED="true", CREWAI_TRACING_ENABLED="false")

from crewai import Agent, Crew, Task
from crewai.hooks import clear_all_hooks, register_before_tool_call_hook
from crewai.llms.base_llm import BaseLLM
from crewai.tools import tool
from crewai_files import ImageFile

from policyengine.integrations.crewai import gated
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


class Scripted(BaseLLM):
    """Says what it is told to, and keeps what it was asked with."""

    steps: Any = None
    ran: Any = None

    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> Any:
        self.ran.shown.append([one["function"]["name"] for one in tools or ()])
        self.ran.seen += str(messages)
        self._track_token_usage_internal(
            {"prompt_tokens": TOKENS - 10, "completion_tokens": 10, "total_tokens": TOKENS}
        )
        at, step = next(self.steps)
        if isinstance(step, str):
            return step
        return [
            {"id": f"c{at}-{n}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
            for n, (name, args) in enumerate(step)
        ]


def crew(tools: Any, script: Script, ran: Ran, prompt: str) -> Crew:
    model = Scripted(model="m", steps=enumerate(script), ran=ran)
    agent = Agent(role="helper", goal="help", backstory="", llm=model, tools=tools, max_iter=20)
    task = Task(description=prompt or "go", expected_output="an answer", agent=agent)
    return Crew(agents=[agent], tasks=[task], cache=False)


def tools_of(tools: Any) -> list[Any]:
    return [tool(one) for one in tools.functions()]


def run(asks: Asks) -> Ran:
    ran = Ran()
    clear_all_hooks()

    def rewrites(context: Any) -> None:
        context.tool_input.clear()
        context.tool_input.update(asks.rewrite or {})

    if asks.rewrite is not None:
        register_before_tool_call_hook(rewrites)

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        within = tools_of(asks.tools)
        if asks.inner is not None:
            inner = crew(tools_of(asks.tools), asks.inner, Ran(), "help")

            @tool
            def helper(input: str) -> str:
                """Ask another agent."""
                return str(inner.kickoff())

            within.append(helper)

        def whole() -> Any:
            terms: Any = {"model": asks.model, "cost": asks.cost, "output": asks.output}
            with gated(session, **terms), gated(session, **terms) if asks.twice else nullcontext():
                whole = crew(within, asks.script, ran, asks.prompt)
                if asks.image is not None:
                    whole.tasks[0].input_files = {"image": ImageFile(source=asks.image)}
                if not asks.streamed:
                    return whole.kickoff()
                whole.stream = True
                streaming = whole.kickoff()
                for _ in streaming:
                    pass
                return streaming.result

        return await asyncio.to_thread(whole)

    result = finished(ran, work, asks)
    if result is not None:
        ran.final = str(result)
    return ran
