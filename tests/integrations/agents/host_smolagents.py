"""smolagents' `ToolCallingAgent`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from io import BytesIO
from typing import Any

from PIL import Image
from smolagents import LogLevel, Tool, ToolCallingAgent, tool
from smolagents.models import ChatMessage, ChatMessageToolCall, ChatMessageToolCallFunction, MessageRole, Model
from smolagents.monitoring import TokenUsage

from policyengine.integrations.smolagents import protect
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


class Says(Model):
    def __init__(self, script: Script, ran: Ran) -> None:
        super().__init__()
        self._steps = enumerate(script)
        self._ran = ran

    def generate(self, messages: Any, *_: Any, tools_to_call_from: Any = None, **__: Any) -> ChatMessage:
        self._ran.shown.append([one.name for one in tools_to_call_from or ()])
        self._ran.seen += str([one.content for one in messages])
        at, step = next(self._steps)
        calls = [("final_answer", {"answer": step})] if isinstance(step, str) else step
        made = [
            ChatMessageToolCall(ChatMessageToolCallFunction(json.dumps(args), name), f"c{at}-{n}", "function")
            for n, (name, args) in enumerate(calls)
        ]
        return ChatMessage(MessageRole.ASSISTANT, "", made, token_usage=TokenUsage(TOKENS - 10, 10))


def made(one: Any) -> Tool:
    """A tool of a function that is async."""

    @functools.wraps(one)
    def plain(*args: Any, **named: Any) -> str:
        return str(asyncio.run(one(*args, **named)))

    return _tool(plain, one)


def _tool(plain: Any, one: Any) -> Tool:
    class Made(Tool):
        name = one.__name__
        description = str(one.__doc__)
        inputs = {each: {"type": "string", "description": each} for each in inspect.signature(one).parameters}  # noqa: RUF012
        output_type = "string"
        skip_forward_signature_validation = True

        def forward(self, **named: Any) -> str:
            return str(plain(**named))

    return Made()


def agent(tools: Any, script: Script, ran: Ran) -> ToolCallingAgent:
    return ToolCallingAgent(tools=list(tools), model=Says(script, ran), verbosity_level=LogLevel.OFF, max_steps=8)


def run(asks: Asks) -> Ran:
    ran = Ran()
    tools = [made(one) for one in asks.tools.functions()]

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        within = list(tools)
        if asks.inner is not None:
            inner = protect(agent(tools, asks.inner, Ran()), session)

            @tool
            def helper(input: str) -> str:
                """Ask another agent.

                Args:
                    input: What it is to do.
                """
                return str(inner.run(input))

            within.append(helper)
        whole = protect(agent(within, asks.script, ran), session, model=asks.model, cost=asks.cost, output=asks.output)
        if asks.twice:
            assert protect(whole, session, model=asks.model, cost=asks.cost, output=asks.output) is whole
        images = [Image.open(BytesIO(asks.image))] if asks.image is not None else None
        if not asks.streamed:
            return await asyncio.to_thread(whole.run, asks.prompt, images=images)
        steps = await asyncio.to_thread(lambda: list(whole.run(asks.prompt, stream=True)))
        return steps[-1].output

    result = finished(ran, work, asks)
    if result is not None:
        ran.final = str(result)
    return ran
