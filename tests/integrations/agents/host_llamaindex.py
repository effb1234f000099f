"""LlamaIndex's `FunctionAgent`."""

from __future__ import annotations

from typing import Any

from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, ToolCallBlock
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import FunctionTool

from policyengine.integrations.llamaindex_agent import protect, protect_agents
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


def says(script: Script, ran: Ran) -> MockFunctionCallingLLM:
    steps = enumerate(script)

    def respond(messages: Any, **given: Any) -> ChatMessage:
        ran.shown.append([str(one.metadata.name) for one in given.get("tools") or ()])
        ran.seen += str(messages)
        at, step = next(steps)
        if isinstance(step, str):
            return ChatMessage(role="assistant", blocks=[TextBlock(text=step)])
        blocks: list[Any] = [
            ToolCallBlock(tool_call_id=f"c{at}-{n}", tool_name=name, tool_kwargs=args)
            for n, (name, args) in enumerate(step)
        ]
        return ChatMessage(role="assistant", blocks=blocks)

    return Counts(response_generator=respond, is_chat_model=True)


class Counts(MockFunctionCallingLLM):
    """A model that says what it used."""

    async def achat(self, messages: Any, **given: Any) -> Any:
        answer = await super().achat(messages, **given)
        answer.additional_kwargs["total_tokens"] = TOKENS
        return answer


def run(asks: Asks) -> Ran:
    ran = Ran()
    tools: list[Any] = [FunctionTool.from_defaults(async_fn=one) for one in asks.tools.functions()]

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        within = list(tools)
        if asks.inner is not None:
            inner = FunctionAgent(tools=protect(tools, session), llm=says(asks.inner, Ran()), streaming=False)

            async def helper(input: str) -> str:
                """Ask another agent."""
                return str(await inner.run(input))

            within.append(FunctionTool.from_defaults(async_fn=helper))
        if asks.twice:
            within = list(protect(protect(within, session), session))
        agent = FunctionAgent(tools=within, llm=says(asks.script, ran), streaming=asks.streamed)
        terms: Any = {"model": asks.model, "cost": asks.cost, "output": asks.output}
        (gated,) = protect_agents([agent], session, **terms)
        if asks.twice:
            assert protect_agents([gated], session, **terms)[0] is gated
        blocks: list[Any] = [TextBlock(text=asks.prompt)]
        if asks.image is not None:
            blocks.append(ImageBlock(image=asks.image))
        running = gated.run(ChatMessage(role="user", blocks=blocks))
        async for _ in running.stream_events():
            pass
        return await running

    answer = finished(ran, work, asks)
    if answer is not None:
        ran.final = str(answer)
    return ran
