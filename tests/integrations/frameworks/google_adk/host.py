"""An `LlmAgent` of Google's Agent Development Kit, in a runner with the plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from google.adk.agents import LlmAgent, RunConfig
from google.adk.agents.run_config import StreamingMode
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.adk.tools import FunctionTool
from google.adk.tools.agent_tool import AgentTool
from google.genai import types
from pydantic import BaseModel

from policyengine.integrations.google_adk import PolicyPlugin
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


class Scripted(BaseLlm):
    """Says what it is told to, and keeps what it was asked with."""

    steps: Any
    ran: Any

    async def generate_content_async(self, llm_request: Any, stream: bool = False) -> AsyncGenerator[Any, None]:
        declared = [one for tool in llm_request.config.tools or () for one in tool.function_declarations or ()]
        self.ran.shown.append([one.name for one in declared])
        self.ran.seen += str([one.model_dump(exclude_none=True) for one in llm_request.contents])
        at, step = next(self.steps)
        if isinstance(step, str):
            parts = [types.Part(text=step)]
        else:
            parts = [
                types.Part(function_call=types.FunctionCall(id=f"c{at}-{n}", name=name, args=args))
                for n, (name, args) in enumerate(step)
            ]
        used = types.GenerateContentResponseUsageMetadata(
            prompt_token_count=TOKENS - 10, candidates_token_count=10, total_token_count=TOKENS
        )
        if stream and isinstance(step, str):
            for word in step.split(" "):
                part = types.Content(role="model", parts=[types.Part(text=f"{word} ")])
                yield LlmResponse(content=part, partial=True)
        yield LlmResponse(content=types.Content(role="model", parts=parts), usage_metadata=used)


class Given(BaseModel):
    input: str


def agent(tools: Any, script: Script, ran: Ran, name: str = "outer", **more: Any) -> LlmAgent:
    return LlmAgent(name=name, model=Scripted(model="m", steps=enumerate(script), ran=ran), tools=tools, **more)


def tools_of(tools: Any) -> list[Any]:
    return [FunctionTool(one) for one in tools.functions()]


async def asked(runner: InMemoryRunner, prompt: str, image: bytes | None = None, **more: Any) -> list[Any]:
    kit = await runner.session_service.create_session(app_name=runner.app_name, user_id="ann")
    parts = [types.Part(text=prompt or "go")]
    if image is not None:
        parts.append(types.Part.from_bytes(data=image, mime_type="image/png"))
    said = types.Content(role="user", parts=parts)
    return [one async for one in runner.run_async(user_id="ann", session_id=kit.id, new_message=said, **more)]


def run(asks: Asks) -> Ran:
    ran = Ran()

    def rewrites(tool: Any, args: dict[str, Any], tool_context: Any) -> None:
        args.clear()
        args.update(asks.rewrite or {})

    async def work() -> Any:
        within = tools_of(asks.tools)
        if asks.inner is not None:
            within.append(AgentTool(agent(tools_of(asks.tools), asks.inner, Ran(), "helper", input_schema=Given)))
        hooks: Any = {} if asks.rewrite is None else {"before_tool_callback": rewrites}
        gate = PolicyPlugin(asks.engine, principal=ANN, model=asks.model, cost=asks.cost, output=asks.output)
        runner = InMemoryRunner(agent=agent(within, asks.script, ran, **hooks), app_name="app", plugins=[gate])
        more: Any = {"run_config": RunConfig(streaming_mode=StreamingMode.SSE)} if asks.streamed else {}
        return await asked(runner, asks.prompt, asks.image, **more)

    events = finished(ran, work, asks)
    if events:
        ran.final = "".join(part.text or "" for part in events[-1].content.parts)
    return ran
