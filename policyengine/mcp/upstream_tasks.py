"""Calls that a server behind continues after it has answered: polled, and their results fetched.

In the revision 2025-11-25, a tool says that it runs only as a task. In the revision 2026-07-28, a server turns a call
into a task when it likes (the extension `io.modelcontextprotocol/tasks`). For whoever calls the tool it is one call: it
is decided before, and its result is observed after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, ClassVar, Literal

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim
from mcp.client.session import ClientSession
from mcp.shared.exceptions import MCPError

# A server says how often it wants to be asked: so many seconds, at least and at most.
LEAST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
# In which a server may take back a task that nobody waits for any more.
LAST_WORDS = 2.0
TASKS = "io.modelcontextprotocol/tasks"
_WANTS_TO_ASK = "it asks the user for input, which is not possible here"

# Told that a server has made a task of a call, and for how many milliseconds it keeps what comes of it; None where it
# says nothing. Returns for how many seconds the task is waited for.
GoesOn = Callable[[int | None], float]
_GOES_ON: ContextVar[GoesOn | None] = ContextVar("policyengine_goes_on", default=None)


def is_needed(tool: types.Tool) -> bool:
    return tool.execution is not None and tool.execution.task_support == "required"


async def awaited(
    client: Client, name: str, arguments: dict[str, Any], seconds: float, goes_on: GoesOn | None
) -> types.CallToolResult:
    """Raises MCPError where the server does, where the task wants to ask somebody, and after so many seconds."""
    session = client.session
    data: dict[str, Any] = {"method": "tools/call", "params": {"name": name, "arguments": arguments, "task": {}}}
    options: Any = {}
    # The library knows no such answer to a call, and so it is asked below what it knows.
    session._stamp(data, options)
    options["timeout"] = seconds
    begun = await session._dispatcher.send_raw_request(data["method"], data["params"], options)
    task: types.Task = types.CreateTaskResult.model_validate(begun).task
    take_back = types.CancelTaskRequest(params=types.CancelTaskRequestParams(task_id=task.task_id))
    async with _waiting(session, seconds if goes_on is None else goes_on(task.ttl), take_back, types.CancelTaskResult):
        while task.status == "working":
            await anyio.sleep(_pause(task.poll_interval))
            params = types.GetTaskRequestParams(task_id=task.task_id)
            task = await session.send_request(types.GetTaskRequest(params=params), types.GetTaskResult)
        if task.status == "input_required":
            raise MCPError(types.INTERNAL_ERROR, _WANTS_TO_ASK)
        payload = types.GetTaskPayloadRequestParams(task_id=task.task_id)
        return await session.send_request(types.GetTaskPayloadRequest(params=payload), types.CallToolResult)


class TaskBegun(types.Result):
    """A server's answer to a call that goes on."""

    result_type: Literal["task"]
    task_id: str
    ttl_ms: int | None = None
    poll_interval_ms: int | None = None


class _Status(types.Result):
    status: types.TaskStatus
    poll_interval_ms: int | None = None
    result: dict[str, Any] | None = None
    error: types.ErrorData | None = None


class _AskAfter(types.GetTaskRequest):
    name_param: ClassVar[str | None] = "taskId"


class _TakeBack(types.CancelTaskRequest):
    name_param: ClassVar[str | None] = "taskId"


class UpstreamTasks(ClientExtension):
    """Tells the servers behind that they may make tasks of calls, and waits for those tasks."""

    identifier = TASKS

    def claims(self) -> list[ResultClaim[Any]]:
        return [ResultClaim(result_type="task", model=TaskBegun, resolve=_ended)]


async def called(
    client: Client, name: str, arguments: dict[str, Any], seconds: float, progress: Any, goes_on: GoesOn | None
) -> types.CallToolResult:
    """Raises MCPError as `awaited` does. `goes_on` hears if it becomes a task."""
    listening = _GOES_ON.set(goes_on)
    try:
        return await client.call_tool(name, arguments, seconds, progress_callback=progress)
    finally:
        _GOES_ON.reset(listening)


async def _ended(begun: TaskBegun, context: ClaimContext) -> types.CallToolResult:
    goes_on = _GOES_ON.get()
    given = context.read_timeout_seconds or 0.0
    seconds = goes_on(begun.ttl_ms) if goes_on is not None else given
    pause = begun.poll_interval_ms
    take_back = _TakeBack(params=types.CancelTaskRequestParams(task_id=begun.task_id))
    async with _waiting(context.session, seconds, take_back, types.EmptyResult):
        while True:
            await anyio.sleep(_pause(pause))
            params = types.GetTaskRequestParams(task_id=begun.task_id)
            task = await context.session.send_request(_AskAfter(params=params), _Status)
            pause = task.poll_interval_ms
            match task.status:
                case "working":
                    continue
                case "completed" if task.result is not None:
                    return types.CallToolResult.model_validate(task.result, by_name=False)
                case "failed" if task.error is not None:
                    raise MCPError(task.error.code, task.error.message)
                case "input_required":
                    raise MCPError(types.INTERNAL_ERROR, _WANTS_TO_ASK)
            raise MCPError(types.INTERNAL_ERROR, f"the task was {task.status}")


def _pause(milliseconds: int | None) -> float:
    return min(max((milliseconds or 0) / 1000, LEAST_PAUSE), LONGEST_PAUSE)


@asynccontextmanager
async def _waiting(session: ClientSession, seconds: float, take_back: Any, answer: Any) -> AsyncIterator[None]:
    """For so long. Its server is told to take back a task that nobody waits for any more, also while the call is being
    cancelled."""
    try:
        with anyio.fail_after(seconds):
            yield
    except BaseException as error:
        with anyio.move_on_after(LAST_WORDS, shield=True), suppress(MCPError, ValueError):
            # What is suppressed: it has ended, or its server does not take tasks back.
            await session.send_request(take_back, answer)
        if isinstance(error, TimeoutError):
            raise MCPError(types.REQUEST_TIMEOUT, "it took too long") from None
        raise
