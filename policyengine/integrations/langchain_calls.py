"""What LangChain and LangGraph share: a call of a tool that passes the gate, and its messages.

A tool answers with a message, or with a command that carries messages. All of them are checked before the model gets
them. A message that a tool wrote in the user's place is marked, and never counts as the user's words.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from langchain.agents.middleware import ToolCallRequest
from langchain_core.messages import BaseMessage, HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.errors import GraphBubbleUp
from langgraph.types import Command

from policyengine.gate.call import Observed
from policyengine.gate.results import looked_at
from policyengine.gate.run_call import Approve, ApproveAsync, Ran, run, run_async
from policyengine.gate.session import Session
from policyengine.integrations.langchain_nested import DeniedWithin, beginning

Answer = ToolMessage | Command[Any]
# What other middleware writes in a message that stands in the user's place, and we as well.
SOURCE = "lc_source"


class GatedTool(StructuredTool):
    """A tool that a session gates, whoever calls it."""

    _session: Session
    _behind: BaseTool

    def behind(self, session: Session) -> BaseTool:
        """What it gates, for one who gates it with the same session. Raises ValueError for another session: each would
        decide, and charge, every call."""
        if self._session is not session:
            raise ValueError(f"`{self.name}` is gated by another session already; use the tool that it was made of")
        return self._behind


def run_call(
    session: Session,
    request: ToolCallRequest,
    handler: Callable[[ToolCallRequest], Answer],
    approve: Approve | None = None,
) -> Answer:
    """The answer to a call: what the tool returned, or why it did not run."""

    request, name, given = _ungated(request, session), request.tool_call["name"], request.tool_call["args"]

    def perform(arguments: dict[str, Any]) -> Answer:
        with beginning(name):
            return handler(_final(request, arguments))

    try:
        ran = run(session, name, given, perform, passes=(GraphBubbleUp,), looks=_looked, back=_back, approve=approve)
    except DeniedWithin as error:
        return _reason_message(str(error), name, request)
    return _answer(ran, request)


async def run_call_async(
    session: Session,
    request: ToolCallRequest,
    handler: Callable[[ToolCallRequest], Awaitable[Answer]],
    approve: ApproveAsync | None = None,
) -> Answer:
    """As `run_call`, without blocking the event loop."""

    request, name, given = _ungated(request, session), request.tool_call["name"], request.tool_call["args"]

    async def perform(arguments: dict[str, Any]) -> Answer:
        with beginning(name):
            return await handler(_final(request, arguments))

    try:
        ran = await run_async(
            session, name, given, perform, passes=(GraphBubbleUp,), looks=_looked, back=_back, approve=approve
        )
    except DeniedWithin as error:
        return _reason_message(str(error), name, request)
    return _answer(ran, request)


def is_users(message: BaseMessage) -> bool:
    """Whether the user wrote it, as far as the message tells."""
    return isinstance(message, HumanMessage) and SOURCE not in message.additional_kwargs


def _ungated(request: ToolCallRequest, session: Session) -> ToolCallRequest:
    """A call is decided once."""
    tool = request.tool
    return request.override(tool=tool.behind(session)) if isinstance(tool, GatedTool) else request


def _final(request: ToolCallRequest, arguments: dict[str, Any]) -> ToolCallRequest:
    return request.override(tool_call={**request.tool_call, "args": arguments})


def _answer(ran: Ran, request: ToolCallRequest) -> Answer:
    if ran.seen is None:
        return _reason_message(ran.call.reason, ran.call.tool, request)
    answer: Answer = ran.value
    return answer


def _reason_message(reason: str, tool: str, request: ToolCallRequest) -> ToolMessage:
    """The reason in the place of a result."""
    return ToolMessage(reason, tool_call_id=request.tool_call["id"], name=tool, status="error")


def _looked(answer: Answer) -> Any:
    """What rules read of an answer: the content of its message; of several, all contents."""
    contents = [looked_at(message.content) for message in _messages(answer)]
    return contents[0] if len(contents) == 1 else contents


def _messages(answer: Answer) -> list[BaseMessage]:
    if isinstance(answer, ToolMessage):
        return [answer]
    return [
        message
        for message in _messages_of_command(answer)
        if isinstance(message, BaseMessage) and not isinstance(message, RemoveMessage)
    ]


def _messages_of_command(answer: Command[Any]) -> list[Any]:
    """The messages that a command brings."""
    messages = _update(answer).get("messages", ())
    return list(messages) if isinstance(messages, list | tuple) else [messages]


def _update(answer: Command[Any]) -> dict[str, Any]:
    if answer.update is None:
        return {}
    if isinstance(answer.update, Mapping | list | tuple):
        return dict(answer.update)
    raise ValueError("a tool's command updates the state in a way that cannot be checked")


def _back(answer: Answer, looked: Any, seen: Observed) -> Answer:
    """The answer with what the model may have of it."""
    before = _messages(answer)
    after: list[BaseMessage] = before
    if not seen.allowed:
        after = [_refused(message, seen.reason) for message in before]
    elif seen.value != looked:
        values = [seen.value] if len(before) == 1 else seen.value
        after = [_changed(message, value) for message, value in zip(before, values, strict=True)]
    made = {id(was): _marked(is_) for was, is_ in zip(before, after, strict=True)}
    if isinstance(answer, ToolMessage):
        return cast(ToolMessage, made[id(answer)])
    if not made:
        return answer
    update = _update(answer)
    update["messages"] = [made.get(id(message), message) for message in _messages_of_command(answer)]
    return Command(graph=answer.graph, update=update, resume=answer.resume, goto=answer.goto)


def _refused(message: BaseMessage, reason: str) -> BaseMessage:
    if not isinstance(message, ToolMessage):
        return message.model_copy(update={"content": reason})
    return message.model_copy(update={"content": reason, "artifact": None, "status": "error"})


def _changed(message: BaseMessage, value: Any) -> BaseMessage:
    content = json.dumps(value) if isinstance(message.content, str) and not isinstance(value, str) else value
    if not isinstance(message, ToolMessage):
        return message.model_copy(update={"content": content})
    return message.model_copy(update={"content": content, "artifact": None})


def _marked(message: BaseMessage) -> BaseMessage:
    if not is_users(message):
        return message
    return message.model_copy(update={"additional_kwargs": {**message.additional_kwargs, SOURCE: "tool"}})
