"""AutoGen's `AssistantAgent`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.messages import ModelClientStreamingChunkEvent, MultiModalMessage
from autogen_agentchat.tools import AgentTool
from autogen_core import FunctionCall, Image
from autogen_core.models import ChatCompletionClient, CreateResult, ModelFamily, RequestUsage
from autogen_core.tools import FunctionTool
from PIL import Image as Pixels

from policyengine.integrations.autogen import protect
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished

ABLE = {
    "vision": True, "function_calling": True, "json_output": False, "family": ModelFamily.UNKNOWN,
    "structured_output": False, "multiple_system_messages": True,
}  # fmt: skip


class Scripted(ChatCompletionClient):
    def __init__(self, script: Script, ran: Ran) -> None:
        self._steps = enumerate(script)
        self._ran = ran

    async def create(self, messages: Sequence[Any], *, tools: Sequence[Any] = (), **_: Any) -> CreateResult:
        self._ran.shown.append([one["name"] if isinstance(one, dict) else one.name for one in tools])
        self._ran.seen += str([one.content for one in messages])
        at, step = next(self._steps)
        calls = [] if isinstance(step, str) else step
        content: Any = [FunctionCall(id=f"c{at}-{n}", name=name, arguments=json.dumps(args))
                        for n, (name, args) in enumerate(calls)]  # fmt: skip
        used = RequestUsage(prompt_tokens=TOKENS - 10, completion_tokens=10)
        if isinstance(step, str):
            return CreateResult(finish_reason="stop", content=step, usage=used, cached=False)
        return CreateResult(finish_reason="function_calls", content=content, usage=used, cached=False)

    async def create_stream(self, messages: Sequence[Any], **more: Any) -> Any:
        more.pop("extra_create_args", None)
        answer = await self.create(messages, **more)
        if isinstance(answer.content, str):
            for word in answer.content.split(" "):
                yield f"{word} "
        yield answer

    async def close(self) -> None: ...

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    total_usage = actual_usage

    def count_tokens(self, messages: Sequence[Any], **_: Any) -> int:
        return 1

    remaining_tokens = count_tokens

    @property
    def capabilities(self) -> Any:
        return ABLE

    model_info = capabilities


def agent(tools: Any, script: Script, ran: Ran, name: str = "outer", **more: Any) -> AssistantAgent:
    return AssistantAgent(name, Scripted(script, ran), tools=tools, max_tool_iterations=10, **more)


def tools_of(asks: Any) -> list[Any]:
    return [FunctionTool(one, str(one.__doc__)) for one in asks.tools.functions()]


def run(asks: Asks) -> Ran:
    ran = Ran()

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        within = tools_of(asks)
        if asks.inner is not None:
            inner = agent(tools_of(asks), asks.inner, Ran(), "helper", description="Ask another agent.")
            within.append(renamed(AgentTool(inner)))
        outer = agent(within, asks.script, ran, model_client_stream=asks.streamed)
        whole = protect(outer, session, model=asks.model, cost=asks.cost, output=asks.output)
        if asks.twice:
            assert protect(whole, session, model=asks.model, cost=asks.cost, output=asks.output) is whole
        given: Any = asks.prompt or "go"
        if asks.image is not None:
            given = MultiModalMessage(content=[given, Image.from_pil(Pixels.open(BytesIO(asks.image)))], source="user")
        if not asks.streamed:
            return await whole.run(task=given)
        return [one async for one in whole.run_stream(task=given)][-1]

    result = finished(ran, work, asks)
    if result is not None:
        said = [one for one in result.messages if not isinstance(one, ModelClientStreamingChunkEvent)]
        ran.final = said[-1].to_text()
    return ran


def renamed(tool: Any) -> Any:
    """An agent that is a tool takes its `task` as `input` here."""
    behind = tool.run_json

    async def run_json(args: Any, *rest: Any, **more: Any) -> Any:
        return await behind({"task": args["input"]}, *rest, **more)

    tool.run_json = run_json
    return tool
