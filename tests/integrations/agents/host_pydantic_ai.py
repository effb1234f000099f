"""Pydantic AI."""

from __future__ import annotations

from typing import Any

from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.messages import BinaryContent, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel
from pydantic_ai.usage import RequestUsage

from policyengine.integrations.pydantic_ai import PolicyCapability
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


def says(script: Script, ran: Ran) -> FunctionModel:
    steps = iter(script)

    async def respond(messages: list[Any], info: AgentInfo) -> ModelResponse:
        ran.shown.append([one.name for one in info.function_tools])
        ran.seen += str(messages)
        step = next(steps)
        parts: list[Any] = [TextPart(step)] if isinstance(step, str) else [ToolCallPart(*call) for call in step]
        return ModelResponse(parts, usage=RequestUsage(input_tokens=TOKENS - 10, output_tokens=10))

    async def stream(messages: list[Any], info: AgentInfo) -> Any:
        said = await respond(messages, info)
        for at, part in enumerate(said.parts):
            if isinstance(part, TextPart):
                yield part.content
            elif isinstance(part, ToolCallPart):
                yield {at: DeltaToolCall(part.tool_name, part.args_as_json_str(), tool_call_id=part.tool_call_id)}

    return FunctionModel(respond, stream_function=stream)


class Rewrites(AbstractCapability[Any]):
    def __init__(self, arguments: Any) -> None:
        self.arguments = dict(arguments)

    async def before_tool_execute(self, ctx: RunContext[Any], **_: Any) -> Any:
        return self.arguments


def run(asks: Asks) -> Ran:
    ran = Ran()
    tools: list[Any] = list(asks.tools.functions())

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        gate = PolicyCapability(session, model=asks.model, cost=asks.cost, output=asks.output)
        within = tools
        if asks.inner is not None:
            inner = Agent(says(asks.inner, Ran()), tools=tools, capabilities=[PolicyCapability(session)])

            async def helper(input: str) -> str:
                """Ask another agent."""
                return str((await inner.run(input)).output)

            within = [*tools, helper]
        others = [] if asks.rewrite is None else [Rewrites(asks.rewrite)]
        again = [PolicyCapability(session, model=asks.model, cost=asks.cost, output=asks.output)] if asks.twice else []
        agent = Agent(says(asks.script, ran), tools=within, capabilities=[gate, *again, *others])
        given: Any = asks.prompt
        if asks.image is not None:
            given = [asks.prompt, BinaryContent(asks.image, media_type="image/png")]
        if not asks.streamed:
            return (await agent.run(given)).output
        async with agent.run_stream(given) as streaming:
            return await streaming.get_output()

    result = finished(ran, work, asks)
    if result is not None:
        ran.final = str(result)
    return ran
