"""LangChain's `create_agent`."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.tools import StructuredTool

from policyengine.integrations.langchain_agent import PolicyMiddleware
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


class Scripted(GenericFakeChatModel):
    """Says what it is told to, and keeps what it was asked with."""

    ran: Any
    offered: list[str] = []  # noqa: RUF012  a field of pydantic's

    def bind_tools(self, tools: Sequence[Any], **_: Any) -> Any:
        return self.model_copy(update={"offered": [getattr(one, "name", None) or one.__name__ for one in tools]})

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        self.ran.shown.append(self.offered)
        self.ran.seen += "".join(f"{one.content}\n" for one in messages)
        return super()._generate(messages, *args, **kwargs)

    def _stream(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> Any:
        said: Any = self._generate(messages, *args, **kwargs).generations[0].message
        chunks: Any = [{**one, "args": json.dumps(one["args"]), "index": n} for n, one in enumerate(said.tool_calls)]
        for word in said.content.split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(f"{word} " if word else ""))
        yield ChatGenerationChunk(message=AIMessageChunk("", tool_call_chunks=chunks, chunk_position="last"))


def says(script: Script, ran: Ran) -> Scripted:
    made = []
    for at, step in enumerate(script):
        calls = [] if isinstance(step, str) else step
        used = {"input_tokens": TOKENS - 10, "output_tokens": 10, "total_tokens": TOKENS}
        asked: Any = [{"name": name, "args": args, "id": f"c{at}-{n}"} for n, (name, args) in enumerate(calls)]
        text = step if isinstance(step, str) else ""
        made.append(AIMessage(text, tool_calls=asked, usage_metadata=used))  # type: ignore[arg-type]
    return Scripted(messages=iter(made), ran=ran)


class Rewrites(AgentMiddleware):
    def __init__(self, arguments: Any) -> None:
        super().__init__()
        self.arguments = dict(arguments)

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await handler(request.override(tool_call={**request.tool_call, "args": self.arguments}))


async def answered(agent: Any, asks: Asks) -> Any:
    """The state at the end of a run."""
    content: Any = asks.prompt
    if asks.image is not None:
        image = {"type": "image", "base64": b64encode(asks.image).decode(), "mime_type": "image/png"}
        content = [{"type": "text", "text": asks.prompt}, image]
    given: Any = {"messages": [HumanMessage(content)]}
    if not asks.streamed:
        return await agent.ainvoke(given)
    return [
        state async for mode, state in agent.astream(given, stream_mode=["messages", "values"]) if mode == "values"
    ][-1]


def run(asks: Asks) -> Ran:
    ran = Ran()
    functions = asks.tools.functions()
    before = [] if asks.rewrite is None else [Rewrites(asks.rewrite)]
    gate = PolicyMiddleware(asks.engine, principal=ANN, model=asks.model, cost=asks.cost, output=asks.output)
    tools: list[Any] = [StructuredTool.from_function(coroutine=one) for one in functions]
    if asks.inner is not None:
        within = create_agent(says(asks.inner, Ran()), list(tools), middleware=[gate])

        async def helper(input: str) -> str:
            """Ask another agent."""
            answer = await within.ainvoke({"messages": [HumanMessage(input)]})
            return str(answer["messages"][-1].text)

        tools.append(StructuredTool.from_function(coroutine=helper))
    agent = create_agent(says(asks.script, ran), tools, middleware=[*before, gate])

    whole = finished(ran, lambda: answered(agent, asks), asks)
    if whole is not None:
        ran.final = whole["messages"][-1].text.strip()
    return ran
