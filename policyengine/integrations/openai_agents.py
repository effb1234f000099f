"""The OpenAI Agents SDK: an agent whose tools, MCP servers and handoffs go through the gate.

    session = engine.session(principal=ann, prompt=prompt)
    result = await Runner.run(protect(agent, session), prompt)

The SDK's own guardrails see neither handoffs nor agents that are tools, and cannot change arguments; so what runs is
wrapped itself. What runs at the model's provider, or has no function to wrap, is refused: `protect` raises ValueError.
An agent that a tool runs and nobody protected is gated by the session of that tool, or refused there.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import wraps
from inspect import isawaitable
from typing import Any, cast

from agents import Agent, FunctionTool, Handoff, Model, ModelResponse, RunState
from agents.items import ItemHelpers, TResponseStreamEvent
from agents.mcp import MCPServer
from agents.models.multi_provider import MultiProvider
from agents.run import AgentRunner
from agents.usage import Usage
from cachetools import TTLCache
from mcp_types import CallToolResult, TextContent
from openai.types.responses import Response, ResponseCompletedEvent, ResponseOutputMessage, ResponseOutputText

from policyengine.call_approvals import Repeated, ask_async
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.conversation import read_arguments
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.run_call import run_async, within
from policyengine.gate.session import Session
from policyengine.integrations.gated_tools import BY, MARK, GatedTools, held, is_protected
from policyengine.integrations.nested_agents import GATE

# So many calls may be decided and not made yet, for so many seconds: a run that was interrupted may go on much later,
# when something is blocked, and its calls are decided again.
CALLS, LIFE = 10_000, 30.0


def protect(
    agent: Agent[Any],
    session: Session,
    *,
    model: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    output: Mapping[str, Any] | None = None,
    engine: Engine | None = None,
) -> Agent[Any]:
    """The same agent, and all that it can hand over to, with tools that the session gates. `model`, `cost` and `output`
    are as in `policyengine.gate.models`; a model of the run's own configuration goes past them, and past no
    gate. With `engine`, a call of a function that needs an approval interrupts the run, and runs once somebody has
    approved it in the store, whatever is said when the run goes on; one of an MCP server runs when the model makes it
    again after that. Raises ValueError, with the reason, for an agent
    that has what cannot be gated, and for one that is protected with something else already; one that is protected with
    the same is returned as it is."""
    protecting = _Protecting(session, ModelTerms(model, cost, output), engine)
    return agent if is_protected(agent, *protecting.by) else protecting.agent(agent)


class _Protecting:
    def __init__(self, session: Session, terms: ModelTerms, engine: Engine | None) -> None:
        self._session = session
        self._terms = terms
        self._engine = engine
        self.by = (session, terms, engine)
        # Agents hand over to each other in circles.
        self._made: dict[int, tuple[Agent[Any], Agent[Any]]] = {}

    def agent(self, agent: Agent[Any]) -> Agent[Any]:
        if _is_protected(agent):
            return agent
        if (known := self._made.get(id(agent))) is not None:
            return known[1]
        made = agent.clone()
        self._made[id(agent)] = (agent, made)
        try:
            # What is assigned later is gated too, and so is what a clone is made with.
            return held(made, self._rules(agent.name), **{GATE: self._session, BY: self.by})
        except BaseException:
            # Nobody is handed over to one of which only a part is gated.
            del self._made[id(agent)]
            raise

    def _rules(self, name: str) -> dict[str, Callable[[Any], Any]]:
        return {
            "prompt": lambda prompt: self._prompt(name, prompt),
            "tool_use_behavior": lambda behavior: self._behavior(name, behavior),
            "tools": lambda tools: GatedTools.assigned(tools, self._tool),
            "mcp_servers": lambda servers: GatedTools.assigned(servers, self._server),
            "handoffs": lambda handoffs: GatedTools.assigned(handoffs, self._handoff),
            "model": self._model,
        }

    def _prompt(self, name: str, prompt: Any) -> Any:
        if prompt is not None:
            raise ValueError(f"protect: `{name}` has a prompt of the provider, which may bring tools of its own")
        return prompt

    def _behavior(self, name: str, behavior: Any) -> Any:
        if self._terms.output is not None and behavior != "run_llm_again":
            raise ValueError(f"protect: `{name}` contains what a tool returned, which would not be released")
        return behavior

    def _model(self, model: Any) -> Any:
        if isinstance(model, _Model) or (self._terms.model is None and self._terms.output is None):
            return model
        return _Model(_model(model), self._session, self._terms)

    def _server(self, server: MCPServer) -> MCPServer:
        return _Server(server, self._session, self._engine)

    def _tool(self, tool: Any) -> FunctionTool:
        name = str(getattr(tool, "name", type(tool).__name__))
        if not isinstance(tool, FunctionTool):
            raise ValueError(f"protect: `{name}` is not a function of this process, so nothing can stand before it")
        within = getattr(tool, "_agent_instance", None)
        if getattr(tool, "_is_agent_tool", False) and not _is_protected(within):
            raise ValueError(f"protect: `{name}` is an agent; make it of a protected one: protect(...).as_tool(...)")
        gated = copy.copy(tool)
        asks = _Asks(self._engine, self._session, tool) if self._engine is not None else None
        gated.on_invoke_tool = _gated(tool, self._session, asks)
        if asks is not None:
            gated.needs_approval = asks.needs_approval
        gated.is_enabled = _enabled(tool, self._session)
        setattr(gated, MARK, True)
        return gated

    def _handoff(self, handoff: Any) -> Any:
        if isinstance(handoff, Agent):
            return self.agent(handoff)
        if not isinstance(handoff, Handoff):
            raise ValueError("protect: a handoff to something that is not an agent")
        made = copy.copy(handoff)
        hand_over = handoff.on_invoke_handoff

        async def invoked(context: Any, given: str) -> Any:
            return self.agent(cast(Agent[Any], await hand_over(context, given)))

        made.on_invoke_handoff = invoked
        setattr(made, MARK, True)
        return made


def _is_protected(agent: Any) -> bool:
    return isinstance(getattr(agent, GATE, None), Session)


def _watched(method: str) -> None:
    """From now on an agent that is run by this method within a tool, and is not protected, is gated as that tool is."""
    runs = getattr(AgentRunner, method)

    @wraps(runs)
    def run(runner: AgentRunner, agent: Agent[Any], given: Any, **named: Any) -> Any:
        session = within()
        if session is not None and not _is_protected(agent):
            agent = protect(agent, session)
            if isinstance(given, RunState) and not _is_protected(given._current_agent):
                raise ValueError("protect: a run within a tool continues with an agent that is not gated")
        return runs(runner, agent, given, **named)

    setattr(AgentRunner, method, run)


for _method in ("run", "run_streamed"):
    _watched(_method)


class _Asks:
    """Approvals of the calls of a tool. The SDK asks before a call whether it needs one; what was decided then is the
    call that runs."""

    def __init__(self, engine: Engine, session: Session, tool: FunctionTool) -> None:
        self._engine = engine
        self._session = session
        self._tool = tool
        self._decided: TTLCache[str, ToolCall] = TTLCache(CALLS, LIFE)

    async def needs_approval(self, context: Any, arguments: dict[str, Any], call_id: str) -> bool:
        was = self._tool.needs_approval
        wanted = was(context, arguments, call_id) if callable(was) else was
        if await wanted if isawaitable(wanted) else wanted:
            return True
        if call_id in self._decided:
            # A run that goes on asks again about what it has not made yet.
            return False
        call = await self._session.call_async(self._tool.name, arguments)
        if call.grant is not None and call.grant.approvable:
            task = await ask_async(self._engine, self._session, call, call_id)
            return task.status == "pending"
        self._decided[call_id] = call
        return False

    def decided(self, call_id: str) -> ToolCall | None:
        call: ToolCall | None = self._decided.pop(call_id, None)
        return call

    async def approval(self, session: Session, call: ToolCall, call_id: str) -> str | None:
        return (await ask_async(self._engine, session, call, call_id)).approval


def _gated(tool: FunctionTool, session: Session, asks: _Asks | None) -> Callable[[Any, str], Any]:
    async def invoked(context: Any, given: str) -> Any:
        async def perform(arguments: dict[str, Any]) -> Any:
            return await tool.on_invoke_tool(context, json.dumps(arguments))

        async def approve(of: Session, call: ToolCall) -> str | None:
            return await asks.approval(of, call, context.tool_call_id) if asks is not None else None

        decided = asks.decided(context.tool_call_id) if asks is not None else None
        ran = await run_async(session, tool.name, read_arguments(given), perform, approve=approve, decided=decided)
        return ran.value if isinstance(ran.value, str) or ran.allowed else str(ran.value)

    return invoked


def _enabled(tool: FunctionTool, session: Session) -> Callable[[Any, Any], Any]:
    """A tool is there if it was, and some arguments could be allowed."""

    async def enabled(context: Any, agent: Any) -> bool:
        was = tool.is_enabled(context, agent) if callable(tool.is_enabled) else tool.is_enabled
        if isawaitable(was):
            was = await was
        return bool(was) and await session.tools_async([tool.name]) == [tool.name]

    return enabled


class _Server(MCPServer):
    """An MCP server whose tools are gated."""

    policyengine_gated = True

    def __init__(self, server: MCPServer, session: Session, engine: Engine | None) -> None:
        # The SDK asks a server for how its tools are to be treated in attributes of its own.
        self.__dict__.update(server.__dict__)
        self._server = server
        self._gate = session
        # A run is not interrupted here: the model makes the call again.
        self._approve = Repeated(engine).approval_async if engine is not None else None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    @property
    def name(self) -> str:
        return self._server.name

    @property
    def cached_tools(self) -> Any:
        return None

    async def connect(self) -> None:
        await cast(Any, self._server).connect()

    async def cleanup(self) -> None:
        await cast(Any, self._server).cleanup()

    async def list_tools(self, run_context: Any = None, agent: Any = None) -> list[Any]:
        tools = await self._server.list_tools(run_context, agent)
        shown = set(await self._gate.tools_async([tool.name for tool in tools]))
        return [tool for tool in tools if tool.name in shown]

    async def call_tool(self, tool_name: str, arguments: dict[str, Any] | None, *rest: Any, **more: Any) -> Any:
        async def perform(final: dict[str, Any]) -> Any:
            return await self._server.call_tool(tool_name, final, *rest, **more)

        ran = await run_async(self._gate, tool_name, arguments or {}, perform, approve=self._approve)
        if not ran.allowed:
            return CallToolResult(content=[TextContent(type="text", text=ran.value)], isError=True)
        # What was changed of a result is plain data, and has to be a result again.
        return CallToolResult.model_validate(ran.value) if isinstance(ran.value, dict) else ran.value

    async def list_prompts(self) -> Any:
        return await self._server.list_prompts()

    async def get_prompt(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        return await self._server.get_prompt(name, arguments)


def _model(model: Any) -> Model:
    return model if isinstance(model, Model) else MultiProvider().get_model(model)


class _Model(Model):
    """A model whose calls are admitted, settled and released."""

    def __init__(self, model: Model, session: Session, terms: ModelTerms) -> None:
        self._model = model
        self._session = session
        self._terms = terms

    async def close(self) -> None:
        await self._model.close()

    def get_retry_advice(self, request: Any) -> Any:
        return self._model.get_retry_advice(request)

    async def get_response(self, system_instructions: str | None, input: Any, *args: Any, **more: Any) -> ModelResponse:
        asked = await self._admitted(system_instructions, input)
        if not asked.allowed:
            return _reason_response(asked.reason)
        system, messages = _apart(asked.messages, system_instructions)
        async with asked:
            answer = await self._model.get_response(system, messages, *args, **more)
        await asked.settle_async(answer.usage.total_tokens or None)
        text_parts = [
            part
            for item in answer.output
            if isinstance(item, ResponseOutputMessage)
            for part in item.content
            if isinstance(part, ResponseOutputText)
        ]
        released = await self._terms.release_all_async(self._session, [part.text for part in text_parts])
        for part, text in zip(text_parts, released, strict=True):
            part.text = text
        return answer

    async def stream_response(
        self, system_instructions: str | None, input: Any, *args: Any, **more: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The answer as it comes; where it is to be released, as a whole once it has been."""
        answer = await self.get_response(system_instructions, input, *args, **more)
        whole = Response(
            id=answer.response_id or "policyengine",
            created_at=0,
            model="policyengine",
            object="response",
            output=answer.output,
            parallel_tool_calls=False,
            tool_choice="auto",
            tools=[],
        )
        yield ResponseCompletedEvent(response=whole, sequence_number=0, type="response.completed")

    async def _admitted(self, system_instructions: str | None, input: Any) -> ModelCall:
        given: list[Any] = list(ItemHelpers.input_to_new_input_list(input))
        if system_instructions is not None:
            given.insert(0, {"role": "system", "content": system_instructions})
        return await self._terms.admit_async(self._session, given)


def _apart(messages: Any, system_instructions: str | None) -> tuple[str | None, Any]:
    if system_instructions is None:
        return None, messages
    return messages[0]["content"], list(messages[1:])


def _reason_response(text: str) -> ModelResponse:
    """A message in the place of what a model would say."""
    part = ResponseOutputText(annotations=[], text=text, type="output_text")
    message = ResponseOutputMessage(
        id="policyengine", content=[part], role="assistant", status="completed", type="message"
    )
    return ModelResponse(output=[message], usage=Usage(), response_id=None)
