"""The OpenAI Agents SDK."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from agents import Agent, RunConfig, Runner, function_tool
from agents.testing import ModelCall, ModelStep, ScriptedModel, assistant_message, function_call
from agents.usage import Usage

from policyengine.integrations.openai_agents import protect
from tests.integrations.agents.world import ANN, TOKENS, Asks, Ran, Script, finished

QUIET = RunConfig(tracing_disabled=True, tool_not_found_behavior="return_error_to_model")


def says(script: Script, ran: Ran, name: str) -> ScriptedModel:
    def step(at: int, said: Any) -> ModelStep:
        def respond(call: ModelCall) -> Any:
            ran.shown.append([one.name for one in call.tools])
            ran.seen += str(call.input)
            return ModelStep(output=output, usage=Usage(requests=1, total_tokens=TOKENS))

        if isinstance(said, str):
            output: list[Any] = [assistant_message(said)]
        else:
            output = [function_call(tool, args, call_id=f"{name}{at}-{n}") for n, (tool, args) in enumerate(said)]
        return ModelStep.respond(respond)

    return ScriptedModel([step(at, said) for at, said in enumerate(script)])


def run(asks: Asks) -> Ran:
    ran = Ran()
    tools: list[Any] = [function_tool(one) for one in asks.tools.functions()]

    async def work() -> Any:
        session = await asks.engine.session_async(principal=ANN, prompt=asks.prompt)
        within = tools
        if asks.inner is not None:
            inner = protect(Agent("inner", model=says(asks.inner, Ran(), "i"), tools=list(tools)), session)
            within = [*tools, inner.as_tool("helper", "Ask another agent.")]
        agent = Agent("outer", model=says(asks.script, ran, "o"), tools=within)
        gated = protect(agent, session, model=asks.model, cost=asks.cost, output=asks.output)
        if asks.twice:
            assert protect(gated, session, model=asks.model, cost=asks.cost, output=asks.output) is gated
        given: Any = asks.prompt
        if asks.image is not None:
            image = f"data:image/png;base64,{b64encode(asks.image).decode()}"
            parts = [{"type": "input_text", "text": asks.prompt}, {"type": "input_image", "image_url": image}]
            given = [{"role": "user", "content": parts}]
        if not asks.streamed:
            return await Runner.run(gated, given, run_config=QUIET)
        streaming = Runner.run_streamed(gated, given, run_config=QUIET)
        async for _ in streaming.stream_events():
            pass
        return streaming

    result = finished(ran, work, asks)
    if result is not None:
        ran.final = str(result.final_output)
    return ran
