"""LangChain agents: a middleware that gates every tool call, and the list of tools that a model sees.

    agent = create_agent(model, tools, middleware=[PolicyMiddleware(engine, principal=ann)])

One run is one session of the gate (`policyengine.gate`): the human messages are the user's words, each call is decided
on its final arguments, and the result of a tool is observed before the model gets it. Put it last in `middleware`, so
that it is innermost and decides about a call after others have rewritten it. An agent within a tool that has such a
middleware as well joins the session of that tool: its instructions are the words of a model. If it has none, its calls
are decided in that session as well (`langchain_nested`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NotRequired, TypeGuard, cast

from cachetools import TTLCache
from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse, ToolCallRequest
from langchain.agents.middleware.types import PrivateStateAttr
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import BaseTool
from langgraph.runtime import Runtime

from policyengine.engine import Engine
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.results import as_json_data
from policyengine.gate.run_call import run, run_async, within
from policyengine.gate.session import Session
from policyengine.integrations.langchain_approvals import by_interrupt, by_interrupt_async, needs_checkpointer
from policyengine.integrations.langchain_calls import Answer, GatedTool, is_users, run_call, run_call_async
from policyengine.integrations.langchain_nested import GATED, beginning
from policyengine.release.released import Released

# So many sessions are remembered at a time, each for so many seconds after its begin.
SESSIONS, LIFE = 10_000, 86_400.0


_Key = tuple[str, str, str, str]


class GateState(AgentState[Any]):
    """The state of an agent, with the id of its session, and the ids of messages that stand in the user's place and are
    not the user's."""

    policyengine_session: NotRequired[Annotated[str, PrivateStateAttr]]
    policyengine_others: NotRequired[Annotated[list[str], PrivateStateAttr]]


class PolicyMiddleware(AgentMiddleware[GateState, Any, Any]):
    """principal: who uses the agent, or a function from the context of the run to it.
    agent: the agent that acts for them.
    model: the attributes of the model, with its `id`; then each model call is admitted (`invoke`), with its messages,
        and what a limit reserved is settled from the usage that the model reports.
    cost: what a model call is estimated to cost, such as `{"tokens": 4000}`; that is reserved.
    output: the attributes of what the model says; then each text of it is released before anybody has it.
    entities: what the host knows at the start; values from it are trusted.
    interrupt: whether a call that needs an approval interrupts the run until somebody has decided. It takes a
        checkpointer: a run without one does not begin. Without `interrupt`, such a call is denied with the reason.

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
        cost: Mapping[str, Any] | None = None,
        output: Mapping[str, Any] | None = None,
        entities: Iterable[Any] = (),
        interrupt: bool = False,
    ) -> None:
        super().__init__()
        self.engine = engine
        self._principal = principal
        self._agent = agent
        self._asking = ModelTerms(model, cost, output)
        self._entities = tuple(entities)
        self._interrupt = interrupt
        # By whose it is as well: nobody has another's session by knowing its id.
        self._sessions: TTLCache[_Key, Session] = TTLCache(SESSIONS, LIFE)

    # ---- a run begins ----

    def before_agent(self, state: GateState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        if self._interrupt:
            needs_checkpointer()
        session = self._outer(runtime) or self.engine.session(
            id=state.get("policyengine_session"), **self._of_run(runtime)
        )
        return self._begun(session, state, runtime)

    async def abefore_agent(self, state: GateState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        if self._interrupt:
            needs_checkpointer()
        session = self._outer(runtime) or await self.engine.session_async(
            id=state.get("policyengine_session"), **self._of_run(runtime)
        )
        return self._begun(session, state, runtime)

    def _outer(self, runtime: Runtime[Any]) -> Session | None:
        """The session of the tool within which this agent runs, where it is for the same user."""
        outer = within()
        return outer if outer is not None and outer.principal == dict(self._who(runtime)) else None

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
        others = set(state.get("policyengine_others", ()))
        if within() is None:
            for message in state["messages"]:
                if is_users(message) and message.id not in others:
                    session.say(message.text)
        return {"policyengine_session": session.id}

    def after_agent(self, state: GateState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """What came to stand in the user's place while the agent ran is not the user's in the next run either."""
        user_texts = set(self._session_of(state, runtime).said)
        others = [
            message.id
            for message in state["messages"]
            if isinstance(message, HumanMessage) and message.text not in user_texts
        ]
        return {"policyengine_others": others}

    async def aafter_agent(self, state: GateState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        return self.after_agent(state, runtime)

    def _session(self, request: Any) -> Session:
        return self._session_of(request.state, getattr(request, "runtime", None))

    def _session_of(self, state: Any, runtime: Any) -> Session:
        """The session of a run. Raises LookupError where the run did not begin here: then nothing runs."""
        known = state.get("policyengine_session") if isinstance(state, Mapping) else None
        session = self._sessions.get(self._key(known, runtime)) if isinstance(known, str) else None
        if session is None:
            raise LookupError("this run has no session: PolicyMiddleware did not see it begin")
        return session

    # ---- the model ----

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | AIMessage:
        session = self._session(request)
        request = request.override(tools=_shown(request.tools, session.tools(_names(request.tools))))
        asked = self._asking.admit(session, request.messages)
        if not asked.allowed:
            return AIMessage(asked.reason)
        with asked:
            answer = handler(_with_messages(request, asked))
        asked.settle(_tokens(answer))
        structured = _structured(answer, self._asking)
        if structured is not None:
            _unchanged(session.release(structured, output=self._asking.output), structured)
        return _released(answer, self._asking.release_all(session, _texts(answer)))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | AIMessage:
        session = self._session(request)
        shown = await session.tools_async(_names(request.tools))
        request = request.override(tools=_shown(request.tools, shown))
        asked = await self._asking.admit_async(session, request.messages)
        if not asked.allowed:
            return AIMessage(asked.reason)
        async with asked:
            answer = await handler(_with_messages(request, asked))
        await asked.settle_async(_tokens(answer))
        structured = _structured(answer, self._asking)
        if structured is not None:
            _unchanged(await session.release_async(structured, output=self._asking.output), structured)
        return _released(answer, await self._asking.release_all_async(session, _texts(answer)))

    # ---- tools ----

    def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Answer]) -> Answer:
        approve = by_interrupt(self.engine, request) if self._interrupt else None
        session = self._session(request)
        answer = run_call(session, request, handler, approve)
        if _is_said(answer, request):
            return _saying(answer, self._asking.release(session, answer.text))
        return answer

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Answer]]
    ) -> Answer:
        approve = by_interrupt_async(self.engine, request) if self._interrupt else None
        session = self._session(request)
        answer = await run_call_async(session, request, handler, approve)
        if _is_said(answer, request):
            return _saying(answer, await self._asking.release_async(session, answer.text))
        return answer


def protect(tools: Sequence[BaseTool], session: Session) -> list[BaseTool]:
    """The same tools, each gated by the session whoever calls it: another agent, a graph, your own code. Raises
    ValueError for a tool that a graph gives more arguments than a model does: those come only to the tool itself; and
    for one that another session gates already."""
    return [_protected(tool, session) for tool in tools]


def _protected(tool: BaseTool, session: Session) -> BaseTool:
    if isinstance(tool, GatedTool):
        tool = tool.behind(session)
    if tool._injected_args_keys:
        raise ValueError(f"protect: `{tool.name}` takes arguments from its graph; use PolicyMiddleware for it")

    def perform(arguments: dict[str, Any]) -> Any:
        with beginning(tool.name):
            return tool.invoke(arguments)

    async def perform_async(arguments: dict[str, Any]) -> Any:
        with beginning(tool.name):
            return await tool.ainvoke(arguments)

    def call(**arguments: Any) -> Any:
        return run(session, tool.name, arguments, perform).value

    async def call_async(**arguments: Any) -> Any:
        return (await run_async(session, tool.name, arguments, perform_async)).value

    made = GatedTool.from_function(
        call,
        call_async,
        name=tool.name,
        description=tool.description,
        args_schema=tool.args_schema,
        return_direct=tool.return_direct,
        metadata={GATED: True},
    )
    cast(Any, made)._session, cast(Any, made)._behind = session, tool
    return made


def _structured(answer: ModelResponse[Any], terms: ModelTerms) -> Any:
    """What a model says in the form that it was asked for, where it is to be released."""
    return None if terms.output is None else as_json_data(answer.structured_response)


def _unchanged(released: Released, response: Any) -> None:
    """Raises PermissionError where not all of it may leave: it has a form, and parts of it have none."""
    if not released.allowed or released.text != response:
        raise PermissionError(released.reason or "parts of the structured response may not be released")


def _is_said(answer: Answer, request: ToolCallRequest) -> TypeGuard[ToolMessage]:
    """Whether what a tool returned is what the user has, without a model in between."""
    return isinstance(answer, ToolMessage) and bool(getattr(request.tool, "return_direct", False))


def _saying(answer: ToolMessage, text: str) -> ToolMessage:
    return answer if text == answer.text else answer.model_copy(update={"content": text, "artifact": None})


def _names(tools: Sequence[Any]) -> list[str]:
    return [_name(tool) for tool in tools]


def _name(tool: Any) -> str:
    if isinstance(tool, Mapping):
        function = tool.get("function")
        return str(function.get("name") if isinstance(function, Mapping) else tool.get("name") or tool.get("type"))
    return str(tool.name)


def _shown(tools: Sequence[Any], names: Sequence[str]) -> list[Any]:
    """Those of the tools; none that is not a function, as it runs at the model's provider and cannot be gated."""
    kept = set(names)
    return [tool for tool in tools if _name(tool) in kept and not _is_hosted(tool)]


def _is_hosted(tool: Any) -> bool:
    return isinstance(tool, Mapping) and "function" not in tool and not {"name", "parameters"} <= tool.keys()


def _with_messages(request: ModelRequest[Any], asked: ModelCall) -> ModelRequest[Any]:
    return request.override(messages=asked.messages)


def _tokens(answer: ModelResponse[Any]) -> int | None:
    """The tokens that the model says it used; None where it says nothing, and the estimate stays."""
    used = [m.usage_metadata for m in answer.result if isinstance(m, AIMessage) and m.usage_metadata is not None]
    return sum(usage["total_tokens"] for usage in used) if used else None


def _texts(answer: ModelResponse[Any]) -> list[str]:
    return [message.text for message in answer.result]


def _released(answer: ModelResponse[Any], released: Sequence[str]) -> ModelResponse[Any]:
    """The answer with what may leave of its texts. Calls of tools stay: the gate looks at them."""
    messages: list[BaseMessage] = []
    for message, text in zip(answer.result, released, strict=True):
        messages.append(message if text == message.text else message.model_copy(update={"content": text}))
    return ModelResponse(result=messages, structured_response=answer.structured_response)
