"""Pydantic AI: a capability that gates every tool call of an agent, and what its model is asked and says.

    agent = Agent(model, tools=tools, capabilities=[PolicyCapability(lambda context: context.deps.session)])

It stands around the tools themselves, inside every hook: what other capabilities make of a call is decided as it
would run. An agent that a tool runs, and that has no such capability, is given one with the session of that tool.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, TypeVar, cast

from pydantic_ai import Agent, RunContext
from pydantic_ai.capabilities import AbstractCapability
from pydantic_ai.capabilities.abstract import leaf_capabilities as _leaves
from pydantic_ai.exceptions import ApprovalRequired, CallDeferred, ModelRetry, SkipToolExecution
from pydantic_ai.exceptions import ToolFailed as Failed
from pydantic_ai.messages import BinaryContent, ModelMessage, ModelResponse, TextPart
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.run import AgentRunResult
from pydantic_ai.settings import ModelSettings
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool, WrapperToolset

from policyengine.call_approvals import ask_async, shown
from policyengine.engine import Engine
from policyengine.gate.call import ToolCall
from policyengine.gate.models import ModelCall, ModelTerms
from policyengine.gate.results import as_json_data
from policyengine.gate.run_call import ToolFailed, run_async, within
from policyengine.gate.session import Session

T = TypeVar("T")
# What a framework raises to steer itself; nothing of it reaches a model.
STEERING = (ApprovalRequired, CallDeferred, SkipToolExecution)
_ROLES = {
    "system-prompt": "system", "user-prompt": "user", "text": "assistant", "thinking": "assistant",
}  # fmt: skip


@dataclass
class PolicyCapability(AbstractCapability[Any]):
    """session: the gate of a run, or a function from the context of the run to it.
    engine: with it, a call that needs an approval is deferred (`DeferredToolRequests`), and runs once somebody has
        approved it; without it, such a call is denied with the reason.
    model, cost, output: as in `policyengine.gate.models.Asking`. With `output`, nothing is streamed."""

    session: Session | Callable[[RunContext[Any]], Session]
    engine: Engine | None = None
    model: Mapping[str, Any] | None = None
    cost: Mapping[str, Any] | None = None
    output: Mapping[str, Any] | None = None
    _of_run: Session | None = field(default=None, repr=False)

    async def for_run(self, ctx: RunContext[Any]) -> PolicyCapability:
        session = self.session if isinstance(self.session, Session) else self.session(ctx)
        return replace(self, _of_run=session)

    @property
    def _gate(self) -> Session:
        """Raises LookupError where the run did not begin here: then nothing runs."""
        if self._of_run is None:
            raise LookupError("this run has no session: PolicyCapability did not see it begin")
        return self._of_run

    def get_wrapper_toolset(self, toolset: AbstractToolset[Any]) -> AbstractToolset[Any]:
        """Raises ValueError where another session gates them already."""
        gate, inner = self._gate, toolset
        # The toolsets of other capabilities may stand between.
        while isinstance(inner, WrapperToolset):
            if isinstance(inner, _Gated):
                return _once(toolset, (inner.session, inner.engine) == (gate, self.engine))
            inner = inner.wrapped
        return _Gated(toolset, gate, self.engine)

    def get_wrapper_model(self, model: Model) -> Model:
        """As `get_wrapper_toolset`."""
        by, inner = (self._gate, ModelTerms(self.model, self.cost, self.output)), model
        while isinstance(inner, WrapperModel):
            if isinstance(inner, _Model):
                return _once(model, inner.by == by)
            inner = inner.wrapped
        return _Model(model, *by)

    async def after_run(self, ctx: RunContext[Any], *, result: AgentRunResult[Any]) -> AgentRunResult[Any]:
        """What a model says through an output tool or function is not text of it, and is released here. Raises
        PermissionError where not all of it may leave."""
        if self.output is None or result.output in _texts_of(result):
            return result
        output = as_json_data(result.output)
        released = await self._gate.release_async(output, output=self.output)
        if not released.allowed or released.text != output:
            raise PermissionError(released.reason or "parts of the output may not be released")
        return result


def _once(gated: T, is_same: bool) -> T:
    """What is gated already: a second gate would decide, and charge, each call again."""
    if not is_same:
        raise ValueError("PolicyCapability: another one, with another session or other terms, gates this agent already")
    return gated


def _watched() -> None:
    """From now on every agent that runs within a tool is gated."""
    begins = Agent.iter

    @wraps(begins)
    def begin(agent: Agent[Any, Any], *given: Any, capabilities: Any = None, **named: Any) -> Any:
        session = within()
        has = [
            agent._effective_root_capability(),
            *(capability for capability in capabilities or () if not callable(capability)),
        ]
        if session is not None and not any(
            isinstance(leaf, PolicyCapability) for each in has for leaf in _leaves(each)
        ):
            capabilities = [*(capabilities or ()), PolicyCapability(session)]
        return begins(agent, *given, capabilities=capabilities, **named)

    cast(Any, Agent).iter = begin


_watched()


def _texts_of(result: AgentRunResult[Any]) -> list[Any]:
    """The texts of the last answer of the model, which are released already."""
    answers = [message for message in result.all_messages() if isinstance(message, ModelResponse)]
    return [part.content for part in answers[-1].parts if isinstance(part, TextPart)] if answers else []


@dataclass
class _Gated(WrapperToolset[Any]):
    """The tools of a run: those that could be called, each call decided on its validated arguments."""

    session: Session
    engine: Engine | None

    async def get_tools(self, ctx: RunContext[Any]) -> dict[str, ToolsetTool[Any]]:
        tools = await super().get_tools(ctx)
        shown_ = set(await self.session.tools_async(tools))
        return {name: tool for name, tool in tools.items() if name in shown_}

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Any], tool: ToolsetTool[Any]
    ) -> Any:
        proposed = as_json_data(tool_args)

        async def perform(arguments: dict[str, Any]) -> Any:
            # What the policies changed is of the tool's types again.
            final = tool_args if arguments == proposed else tool.args_validator.validate_python(arguments)
            return await self.wrapped.call_tool(name, final, ctx, tool)

        async def approve(session: Session, call: ToolCall) -> str | None:
            if self.engine is None:
                return None
            task = await ask_async(self.engine, session, call, str(ctx.tool_call_id))
            if task.status == "pending":
                raise ApprovalRequired(metadata=shown(task, call))
            return task.approval

        try:
            ran = await run_async(self.session, name, proposed, perform, passes=STEERING, approve=approve)
        except ToolFailed as error:
            raise Failed(str(error)) from None
        except ModelRetry:
            raise
        if not ran.allowed:
            raise Failed(ran.value)
        return ran.value


class _Model(WrapperModel):
    """A model whose calls are admitted, settled and released."""

    def __init__(self, model: Model, session: Session, terms: ModelTerms) -> None:
        super().__init__(model)
        self.by = (session, terms)
        self._session = session
        self._terms = terms

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        _functions_only(model_request_parameters)
        asked = await self._terms.admit_async(self._session, _for_admission(messages))
        if not asked.allowed:
            return ModelResponse([TextPart(asked.reason)])
        given = _with(messages, asked.messages)
        async with asked:
            answer = await super().request(given, model_settings, model_request_parameters)
        await asked.settle_async(answer.usage.total_tokens or None)
        texts = [part.content for part in answer.parts if isinstance(part, TextPart)]
        released = iter(await self._terms.release_all_async(self._session, texts))
        parts = [replace(part, content=next(released)) if isinstance(part, TextPart) else part for part in answer.parts]
        return replace(answer, parts=parts)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncIterator[StreamedResponse]:
        """Raises PermissionError where what is said would have to be released, or may not be asked."""
        if self._terms.output is not None:
            raise PermissionError("what is to be released as a whole cannot be streamed")
        _functions_only(model_request_parameters)
        asked: ModelCall = await self._terms.admit_async(self._session, _for_admission(messages))
        if not asked.allowed:
            raise PermissionError(asked.reason)
        given = _with(messages, asked.messages)
        streaming = super().request_stream(given, model_settings, model_request_parameters, run_context)
        async with asked, streaming as stream:
            yield stream
        await asked.settle_async(stream.usage.total_tokens or None)


def _functions_only(parameters: ModelRequestParameters) -> None:
    """Raises PermissionError where a tool is not a function: it runs at the model's provider."""
    if parameters.native_tools:
        raise PermissionError("a tool that is not a function runs where it cannot be gated")


def _for_admission(messages: list[ModelMessage]) -> list[dict[str, Any]]:
    """What a model is given, part by part, each with whose words it is."""
    return [
        {"role": _ROLES.get(part.part_kind, "tool"), "content": _content(part.content)}
        for message in messages
        for part in message.parts
        if hasattr(part, "content")
    ]


def _content(value: Any) -> Any:
    """What a part holds, with files as admission opens them."""
    if isinstance(value, BinaryContent):
        return {"type": "file", "data": value.base64}
    if isinstance(value, Mapping):
        members = {str(name): _content(member) for name, member in value.items()}
        return members if len(members) == len(value) else [_content(pair) for pair in value.items()]
    if isinstance(value, list | tuple):
        return [_content(item) for item in value]
    return as_json_data(value)


def _is_plain(value: Any) -> bool:
    return bool(_content(value) == as_json_data(value))


def _with(messages: list[ModelMessage], admitted: Any) -> list[ModelMessage]:
    coming = iter(admitted)
    made: list[Any] = []
    for message in messages:
        parts: list[Any] = []
        for part in message.parts:
            if hasattr(part, "content"):
                content = next(coming)["content"]
                if content == _content(part.content):
                    parts.append(part)
                elif _is_plain(part.content):
                    parts.append(replace(part, content=content))
                else:
                    raise PermissionError("a message with what is not text would have to be changed")
            else:
                parts.append(part)
        made.append(replace(cast(Any, message), parts=parts))
    return made
