"""LangChain agents: a middleware that gates every tool call, and the tools that a model is shown.

    agent = create_agent(model, tools, middleware=[PolicyMiddleware(engine, principal=ann)])

One run is one session of the gate (`policyengine.gate`): the human messages are the user's words, each call is decided
on its final arguments, and what a tool returns is observed before the model has it. Put it last in `middleware`, so
that it is innermost: what another one rewrites is then decided as it runs. An agent within a tool has a middleware of
its own, or tools that `protect` has wrapped; to this one it is a tool like any other.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NotRequired

from cachetools import TTLCache
from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse, ToolCallRequest
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.runtime import Runtime
from langgraph.types import Command

from policyengine.engine import Engine
from policyengine.gate.call import Call, Observed
from policyengine.gate.session import Session
from policyengine.release.outcome import Admitted, Released

# So many sessions are remembered at a time, each for so many seconds after its begin.
SESSIONS, LIFE = 10_000, 86_400.0


_Key = tuple[str, str, str, str]


class GateState(AgentState[Any]):
    """The state of an agent, with the id of its session."""

    policyengine_session: NotRequired[Annotated[str, PrivateStateAttr]]


class PolicyMiddleware(AgentMiddleware[GateState, Any, Any]):
    """principal: who uses the agent, or a function from the context of the run to it.
    agent: the agent that acts for them.
    model: the attributes of the model, with its `id`; then each model call is admitted (`invoke`), with its messages,
        and what a limit reserved is settled from the usage that the model reports.
    output: the attributes of what the model says; then each text of it is released before anybody has it.
    entities: what the host knows at the start; values from it are trusted.

    A denied call does not run: the model gets the reason in its place. Nothing is swallowed: what the engine raises
    ends the run."""

    state_schema = GateState

    def __init__(
        self,
        engine: Engine,
        *,
        principal: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]],
        agent: Mapping[str, Any] | None = None,
        model: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        entities: Iterable[Any] = (),
    ) -> None:
        super().__init__()
        self.engine = engine
        self._principal = principal
        self._agent = agent
        self._model = model
        self._output = output
        self._entities = tuple(entities)
        # By whose it is as well: nobody has another's session by knowing its id.
        self._sessions: TTLCache[_Key, Session] = TTLCache(SESSIONS, LIFE)

    # ---- a run begins ----

    def before_agent(self, state: GateState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        session = self.engine.session(id=state.get("policyengine_session"), **self._of_run(runtime))
        return self._begun(session, state, runtime)

    async def abefore_agent(self, state: GateState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        known = state.get("policyengine_session")
        session = await self.engine.session_async(id=known, **self._of_run(runtime))
        return self._begun(session, state, runtime)

    def _of_run(self, runtime: Runtime[Any]) -> dict[str, Any]:
        return {"principal": self._who(runtime), "agent": self._agent, "entities": self._entities}

    def _who(self, runtime: Any) -> Mapping[str, Any]:
        return self._principal(runtime.context) if callable(self._principal) else self._principal

    def _key(self, id_: str, runtime: Any) -> _Key:
        who = self._who(runtime)
        return id_, str(who.get("type")), str(who.get("id")), str(who.get("tenant"))

    def _begun(self, session: Session, state: GateState, runtime: Runtime[Any]) -> dict[str, Any]:
        key = self._key(session.id, runtime)
        session = self._sessions.setdefault(key, session)
        for message in state["messages"]:
            # Other middleware writes in the user's place, too: what it made says so.
            if isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs:
                session.say(message.text)
        return {"policyengine_session": session.id}

    def _session(self, request: Any) -> Session:
        """The session of a run. Raises LookupError where the run did not begin here: then nothing runs."""
        state = request.state
        known = state.get("policyengine_session") if isinstance(state, Mapping) else None
        session = self._sessions.get(self._key(known, request.runtime)) if known is not None else None
        if session is None:
            raise LookupError("this run has no session: PolicyMiddleware did not see it begin")
        return session

    # ---- the model ----

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | AIMessage:
        session = self._session(request)
        request = request.override(tools=_shown(request.tools, session.tools(_names(request.tools))))
        admitted = self._admitted(request, session)
        if admitted is not None and not admitted.allowed:
            return AIMessage(admitted.reason)
        answer = handler(_with_messages(request, admitted))
        if admitted is not None and admitted.grant is not None and admitted.grant.id:
            admitted.grant.settle(_usage(answer))
        if self._output is None:
            return answer
        return _released(answer, [session.release(text, output=self._output) for text in _texts(answer)])

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | AIMessage:
        session = self._session(request)
        shown = await session.tools_async(_names(request.tools))
        request = request.override(tools=_shown(request.tools, shown))
        admitted = await self._admitted_async(request, session)
        if admitted is not None and not admitted.allowed:
            return AIMessage(admitted.reason)
        answer = await handler(_with_messages(request, admitted))
        if admitted is not None and admitted.grant is not None and admitted.grant.id:
            await admitted.grant.settle_async(_usage(answer))
        if self._output is None:
            return answer
        return _released(answer, [await session.release_async(text, output=self._output) for text in _texts(answer)])

    def _admitted(self, request: ModelRequest[Any], session: Session) -> Admitted | None:
        return None if self._model is None else session.admit(request.messages, model=self._model)

    async def _admitted_async(self, request: ModelRequest[Any], session: Session) -> Admitted | None:
        return None if self._model is None else await session.admit_async(request.messages, model=self._model)

    # ---- tools ----

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        session = self._session(request)
        call = session.call(request.tool_call["name"], request.tool_call["args"])
        if not call.allowed:
            return _refusal(call, request)
        answer = handler(_final(request, call))
        return _with_seen(
            answer, [(message, session.observe(call, _content(message))) for message in _messages(answer)]
        )

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        session = self._session(request)
        call = await session.call_async(request.tool_call["name"], request.tool_call["args"])
        if not call.allowed:
            return _refusal(call, request)
        answer = await handler(_final(request, call))
        seen = [(message, await session.observe_async(call, _content(message))) for message in _messages(answer)]
        return _with_seen(answer, seen)


def protect(tools: Sequence[BaseTool], session: Session) -> list[BaseTool]:
    """The same tools, each gated by the session whoever calls it: another agent, a graph, your own code."""
    return [_protected(tool, session) for tool in tools]


def _protected(tool: BaseTool, session: Session) -> BaseTool:
    def run(**arguments: Any) -> Any:
        call = session.call(tool.name, arguments)
        if not call.allowed:
            return call.reason
        return _said(session.observe(call, tool.invoke(dict(call.arguments or {}))))

    async def run_async(**arguments: Any) -> Any:
        call = await session.call_async(tool.name, arguments)
        if not call.allowed:
            return call.reason
        return _said(await session.observe_async(call, await tool.ainvoke(dict(call.arguments or {}))))

    return StructuredTool.from_function(
        run, run_async, name=tool.name, description=tool.description, args_schema=tool.args_schema
    )


def _said(seen: Observed) -> Any:
    return seen.value if seen.allowed else seen.reason


def _final(request: ToolCallRequest, call: Call) -> ToolCallRequest:
    return request.override(tool_call={**request.tool_call, "args": dict(call.arguments or {})})


def _refusal(call: Call, request: ToolCallRequest) -> ToolMessage:
    return ToolMessage(call.reason, tool_call_id=request.tool_call["id"], name=call.tool, status="error")


def _messages(answer: ToolMessage | Command[Any]) -> list[ToolMessage]:
    """What a tool returned, as messages; a command brings them in its update."""
    if isinstance(answer, ToolMessage):
        return [answer]
    update = answer.update if isinstance(answer.update, Mapping) else {}
    return [message for message in update.get("messages", ()) if isinstance(message, ToolMessage)]


def _content(message: ToolMessage) -> Any:
    """What a message says: JSON as the value that it is."""
    if not isinstance(message.content, str):
        return message.content
    try:
        value = json.loads(message.content)
    except (ValueError, RecursionError):
        return message.content
    return value if isinstance(value, dict | list) else message.content


def _with_seen(
    answer: ToolMessage | Command[Any], seen: Sequence[tuple[ToolMessage, Observed]]
) -> ToolMessage | Command[Any]:
    """The answer with what the model may have of it."""
    made = {id(message): _seen(message, observed) for message, observed in seen}
    if isinstance(answer, ToolMessage):
        return made[id(answer)]
    if not made:
        return answer
    update: dict[str, Any] = dict(answer.update or {})
    update["messages"] = [made.get(id(message), message) for message in update["messages"]]
    return Command(graph=answer.graph, update=update, resume=answer.resume, goto=answer.goto)


def _seen(message: ToolMessage, observed: Observed) -> ToolMessage:
    if not observed.allowed:
        return message.model_copy(update={"content": observed.reason, "artifact": None, "status": "error"})
    if observed.value == _content(message):
        return message
    value = observed.value
    content = value if isinstance(value, str) or not isinstance(message.content, str) else json.dumps(value)
    return message.model_copy(update={"content": content, "artifact": None})


def _names(tools: Sequence[Any]) -> list[str]:
    return [_name(tool) for tool in tools]


def _name(tool: Any) -> str:
    if isinstance(tool, Mapping):
        function = tool.get("function")
        return str(function.get("name") if isinstance(function, Mapping) else tool.get("name") or tool.get("type"))
    return str(tool.name)


def _shown(tools: Sequence[Any], names: Sequence[str]) -> list[Any]:
    kept = set(names)
    return [tool for tool in tools if _name(tool) in kept]


def _with_messages(request: ModelRequest[Any], admitted: Admitted | None) -> ModelRequest[Any]:
    return request if admitted is None else request.override(messages=admitted.messages)


def _usage(answer: ModelResponse[Any]) -> dict[str, Any] | None:
    """The tokens that the model says it used; None where it says nothing, and the estimate stays."""
    used = [m.usage_metadata for m in answer.result if isinstance(m, AIMessage) and m.usage_metadata is not None]
    return {"tokens": sum(one["total_tokens"] for one in used)} if used else None


def _texts(answer: ModelResponse[Any]) -> list[str]:
    return [message.text for message in answer.result]


def _released(answer: ModelResponse[Any], released: Sequence[Released]) -> ModelResponse[Any]:
    """The answer with what may leave of its texts. Calls of tools stay: the gate looks at them."""
    messages: list[BaseMessage] = []
    for message, one in zip(answer.result, released, strict=True):
        text = one.text if one.allowed else one.reason
        messages.append(message if text == message.text else message.model_copy(update={"content": text}))
    return ModelResponse(result=messages, structured_response=answer.structured_response)
