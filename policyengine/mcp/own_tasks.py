"""Tasks of your own server (revision 2026-07-28, the extension `io.modelcontextprotocol/tasks`).

A call that the server turns into a task was decided when it was made. When its result is first asked for, it is
observed as the result of that call, and only then returned; later requests return the same. A task belongs to the
session of its call; for all other sessions the id does not exist. A task that asks for input ends there, because nobody
has checked the question. A result that nobody asks for is not returned either, and the call keeps its charge.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from policyengine.gate.call import ToolCall
from policyengine.gate.results import given_back, looked_at
from policyengine.gate.run_call import ended_async
from policyengine.gate.session import Session
from policyengine.mcp.methods import DENIED, LONGEST_LIFE, MOST_TASKS, MOST_TASKS_OF_ONE
from policyengine.mcp.results import answered, seen

METHODS_OF_TASKS = frozenset({"tasks/get", "tasks/cancel"})
_UNSEEN = "the result of this task could not be checked"
_ASKS = "what a task asks while it goes on is not gated, and so it has ended"
# What there is to tell of a task beside what it came to. What it says of itself nobody has looked at.
_TOLD = ("taskId", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs")


@dataclass(eq=False)
class _OwnTask:
    owner: str
    call: ToolCall
    ends: float
    # What there is to say of it, once it has ended.
    outcome: dict[str, Any] | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)


class OwnTasks:
    """At most a hundred tasks of a session are known, and ten thousand in all; older ones are forgotten."""

    def __init__(self) -> None:
        self._known: dict[str, _OwnTask] = {}

    async def begun(self, session: Session, call: ToolCall, answer: Mapping[str, Any]) -> dict[str, Any]:
        """What a client is told of a task that the server has made of a call."""
        told, life = _told(answer), answer.get("ttlMs")
        seconds = min(life if isinstance(life, int) else LONGEST_LIFE, LONGEST_LIFE) / 1000
        if str(told.get("taskId")) in self._known:
            # Its server does not tell its tasks apart: whose this is nobody knows.
            await ended_async(call)
            raise MCPError(types.INTERNAL_ERROR, "there is a task of this id already")
        self._known[str(told.get("taskId"))] = _OwnTask(session.id, call, time.monotonic() + seconds)
        for id_ in self._beyond(session.id):
            await ended_async(self._known.pop(id_).call)
        return {**told, "resultType": "task", "status": "working"}

    async def asked(
        self, session: Session, method: str, params: Mapping[str, Any], ask: Callable[[], Awaitable[Any]]
    ) -> dict[str, Any]:
        """The answer to a method of `METHODS_OF_TASKS`. Raises MCPError."""
        task = self._known.get(str(params.get("taskId")))
        if task is None or task.owner != session.id or task.ends < time.monotonic():
            raise MCPError(types.INVALID_PARAMS, "there is no such task here")
        if method == "tasks/cancel":
            await ask()
            return {"resultType": "complete"}
        async with task.lock:
            if task.outcome is not None:
                return task.outcome
            answer = as_sent(await ask())
            told = {**_told(answer), "resultType": "complete"}
            if answer.get("status") == "working":
                return {**told, "status": "working"}
            # Where something goes wrong from here on, it is not looked at twice.
            task.outcome = {**told, "status": "failed", "error": {"code": DENIED, "message": _UNSEEN}}
            task.outcome = {**told, **await _outcome(session, task.call, answer)}
            return task.outcome

    def _beyond(self, owner: str) -> list[str]:
        """Those whose time is over, and the first of too many. The last one stays."""
        now = time.monotonic()
        over = [id_ for id_, one in self._known.items() if one.ends < now]
        mine = [id_ for id_, one in self._known.items() if one.owner == owner and one.ends >= now]
        over += mine[:-MOST_TASKS_OF_ONE]
        left = [id_ for id_ in self._known if id_ not in set(over)]
        return over + left[:-MOST_TASKS]


async def _outcome(session: Session, call: ToolCall, answer: Mapping[str, Any]) -> dict[str, Any]:
    match answer:
        case {"status": "completed", "result": Mapping() as said}:
            result = types.CallToolResult.model_validate(dict(said), by_name=False)
            looked = seen(result)
            result = answered(result, looked, await session.observe_async(call, looked))
            return {"status": "completed", "result": as_sent(result)}
        case {"status": "failed", "error": {"code": int() as code, "message": str() as message}}:
            looked = looked_at(message)
            told = given_back(message, looked, await session.observe_async(call, looked))
            return {"status": "failed", "error": {"code": code, "message": str(told)}}
        case {"status": "cancelled"}:
            await ended_async(call)
            return {"status": "cancelled"}
    await ended_async(call)
    return {"status": "failed", "error": {"code": DENIED, "message": _ASKS}}


def is_task(answer: Any) -> bool:
    """Whether this is a task, and no result of a call."""
    kind = answer.get("resultType") if isinstance(answer, Mapping) else getattr(answer, "result_type", None)
    return kind == "task"


def is_question(answer: Any) -> bool:
    """Whether this asks the person at the client for something; then the call is made again, with what they said."""
    kind = answer.get("resultType") if isinstance(answer, Mapping) else getattr(answer, "result_type", None)
    return kind == "input_required" or hasattr(answer, "input_required")


def goes_on(answer: Any) -> bool:
    """Whether there is no result of the call yet."""
    return is_task(answer) or is_question(answer)


def as_sent(answer: Any) -> dict[str, Any]:
    """An answer as it is sent."""
    if answer is None:
        return {}
    if isinstance(answer, Mapping):
        return dict(answer)
    return dict(answer.model_dump(mode="json", by_alias=True, exclude_none=True))


def _told(answer: Mapping[str, Any]) -> dict[str, Any]:
    return {name: answer[name] for name in _TOLD if name in answer}
