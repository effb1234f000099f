"""Calls that a client wants as tasks (revision 2025-11-25), which the gateway keeps itself.

A call is decided when it is made, including its approvals. The server behind is called as for any other call, and the
result is observed when it arrives; then the client may fetch it. In the revision 2026-07-28, tasks are an extension:
see `task_extension.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS

from policyengine.mcp.authorizing import UNAVAILABLE, UNMAPPED
from policyengine.mcp.changes import Changes
from policyengine.mcp.gating import Context
from policyengine.mcp.kept_tasks import LIFE, PAUSE, KeptTask, KeptTasks
from policyengine.mcp.methods import LONGEST_LIFE
from policyengine.mcp.results import denied
from policyengine.mcp.task_extension import TaskExtension
from policyengine.mcp.tools import CALL, Ready, Tools

_RELATED = "io.modelcontextprotocol/related-task"
CAPABILITY = types.ServerTasksCapability.model_validate(
    {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
)  # fmt: skip


class Tasks:
    """A middleware for calls that are to be tasks, and for the methods about tasks, in either revision."""

    def __init__(self, kept: KeptTasks, tools: Tools, changes: Changes, extension: TaskExtension) -> None:
        self._kept = kept
        self._tools = tools
        self._changes = changes
        self._extension = extension

    def serve(self, server: Server[Any]) -> None:
        server.middleware.append(self)
        server.add_request_handler("tasks/get", types.GetTaskRequestParams, self._get)
        server.add_request_handler("tasks/result", types.GetTaskPayloadRequestParams, self._result)
        server.add_request_handler("tasks/cancel", types.CancelTaskRequestParams, self._cancel)
        server.add_request_handler("tasks/list", types.PaginatedRequestParams, self._list)
        self._extension.serve(server)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        as_task = ctx.method == CALL and isinstance(ctx.params, Mapping) and ctx.params.get("task") is not None
        if not as_task or ctx.request_id is None or ctx.protocol_version != LATEST_HANDSHAKE_VERSION:
            return await call_next(ctx)
        if not ctx.session._connection.initialize_accepted:
            return await call_next(ctx)
        # The library has no such answer to a call: it is given here.
        return await self._begun(ctx, types.CallToolRequestParams.model_validate(ctx.params, by_name=False))

    async def _begun(self, context: Context, params: types.CallToolRequestParams) -> Any:
        owner, place = await self._kept.owner(context), self._changes.tasks
        wanted = params.task.ttl if params.task is not None else None
        if place is None:
            raise MCPError(UNAVAILABLE, "this gateway keeps no tasks")
        if not self._kept.has_room(owner):
            raise MCPError(UNAVAILABLE, "there are too many tasks")
        ready = await self._tools.ready(context, params, as_task=True)
        if not isinstance(ready, Ready):
            return ready
        task = KeptTask(owner, min(max(LIFE if wanted is None else wanted, 0), LONGEST_LIFE))
        self._kept.keep(task)
        # What it may take at the server behind is what the client has time for.
        seconds = task.life / 1000
        place.start_soon(self._kept.run, task, ready, seconds, None, lambda _: seconds)
        return {"task": _said(task)}

    # ---- the methods ----

    async def _get(self, context: Context, params: types.GetTaskRequestParams) -> dict[str, Any]:
        if _is_modern(context):
            return await self._extension.get(context, params)
        return _said(await self._kept.of(context, params.task_id))

    async def _result(self, context: Context, params: types.GetTaskPayloadRequestParams) -> dict[str, Any]:
        _not_in_the_extension(context)
        task = await self._kept.of(context, params.task_id)
        await task.ended.wait()
        result = task.result if task.result is not None else denied(f"the task was {task.status}")
        said = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {**said, "_meta": {**(said.get("_meta") or {}), _RELATED: {"taskId": task.id}}}

    async def _cancel(self, context: Context, params: types.CancelTaskRequestParams) -> dict[str, Any]:
        if _is_modern(context):
            return await self._extension.cancel(context, params)
        task = await self._kept.of(context, params.task_id)
        if task.status != "working":
            raise MCPError(UNMAPPED, f"the task is {task.status} already")
        task.cancel()
        return _said(task)

    async def _list(self, context: Context, _: types.PaginatedRequestParams | None) -> dict[str, Any]:
        _not_in_the_extension(context)
        owner = await self._kept.owner(context)
        return {"tasks": [_said(one) for one in self._kept.living() if one.owner == owner]}


def _said(task: KeptTask) -> dict[str, Any]:
    return {
        "taskId": task.id, "status": task.status, "createdAt": task.created, "lastUpdatedAt": task.changed,
        "ttl": task.life, "pollInterval": PAUSE,
    }  # fmt: skip


def _is_modern(context: Context) -> bool:
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS


def _not_in_the_extension(context: Context) -> None:
    if _is_modern(context):
        raise MCPError(types.METHOD_NOT_FOUND, f"{context.method} is not a method of this revision")
