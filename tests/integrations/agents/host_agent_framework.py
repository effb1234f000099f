"""Microsoft's Agent Framework, which has AGENT-HOOKS built in."""

from __future__ import annotations

from typing import Any

from agent_framework import (
    Agent,
    BaseChatClient,
    ChatMiddlewareLayer,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FunctionInvocationLayer,
    FunctionMiddleware,
    Message,
    UsageDetails,
    tool,
)

from policyengine.integrations.agent_framework import protect
from policyengine.integrations.agent_hooks import PolicyInterceptor
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished


class Scripted(FunctionInvocationLayer[Any], ChatMiddlewareLayer[Any], BaseChatClient[Any]):  # type: ignore[misc]
    def __init__(self, script: Script, ran: Ran, name: str) -> None:
        super().__init__()
        self.steps, self.ran, self.called = enumerate(script), ran, name

    async def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **_: Any) -> Any:
        self.ran.shown.append([one.name for one in options.get("tools") or ()])
        self.ran.seen += str([one.to_dict() for one in messages])
        at, step = next(self.steps)
        if isinstance(step, str):
            contents: list[Any] = [Content.from_text(step)]
        else:
            contents = [
                Content.from_function_call(f"{self.called}{at}-{n}", name, arguments=args)
                for n, (name, args) in enumerate(step)
            ]
        if stream:

            async def updates() -> Any:
                yield ChatResponseUpdate(role="assistant", contents=contents)

            return self._build_response_stream(updates())
        usage = UsageDetails(input_token_count=TOKENS - 10, output_token_count=10, total_token_count=TOKENS)
        return ChatResponse(messages=[Message("assistant", contents)], usage_details=usage)


class Rewrites(FunctionMiddleware):
    def __init__(self, arguments: Any) -> None:
        self.arguments = dict(arguments)

    async def process(self, context: Any, call_next: Any) -> None:
        context.arguments = self.arguments
        await call_next()


def run(asks: Asks) -> Ran:
    ran = Ran()
    tools: list[Any] = [tool(one) for one in asks.tools.functions()]

    def gated(agent: Agent) -> Agent:
        terms = {"model": asks.model, "cost": asks.cost, "output": asks.output}
        gate = PolicyInterceptor(asks.engine, principal=ANN, **terms)  # type: ignore[arg-type]
        return protect(protect(agent, gate), gate) if asks.twice else protect(agent, gate)

    async def work() -> Any:
        within = list(tools)
        if asks.inner is not None:
            inner = gated(Agent(Scripted(asks.inner, Ran(), "i"), name="inner", tools=tools))
            within.append(inner.as_tool(name="helper", arg_name="input"))
        before = [] if asks.rewrite is None else [Rewrites(asks.rewrite)]
        agent = Agent(Scripted(asks.script, ran, "o"), name="outer", tools=within, middleware=before)
        given: Any = asks.prompt
        if asks.image is not None:
            image = Content.from_data(asks.image, "image/png")
            given = Message("user", [Content.from_text(asks.prompt), image])
        if not asks.streamed:
            return await gated(agent).run(given)
        streaming = gated(agent).run(given, stream=True)
        async for _ in streaming:
            pass
        return await streaming.get_final_response()

    answer = finished(ran, work, asks)
    if answer is not None:
        ran.final = answer.text
    return ran
