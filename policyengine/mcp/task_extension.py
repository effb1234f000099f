"""Calls that their server turns into tasks (revision 2026-07-28, the extension `io.modelcontextprotocol/tasks`).

A client says with each request that it supports tasks; the server decides whether a call becomes one. The gateway makes
a task of a call if the server behind has made one, and waits for that server itself. For a client that does not support
tasks, or has too many of them, it waits as for any other call. A result is observed when it arrives, and only then
returned. A task of the gateway asks for no input: a server that wants to ask ends its task.
"""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from policyengine.mcp.authorizing import UNAVAILABLE
from policyengine.mcp.changes import Changes
from policyengine.mcp.gating import Context
from policyengine.mcp.kept_tasks import LIFE, PAUSE, KeptTask, KeptTasks
from policyengine.mcp.methods import LONGEST_LIFE
from policyengine.mcp.tools import LONGEST_CALL, Ready, Tools
from policyengine.mcp.upstream_tasks import TASKS

UPDATE = "tasks/update"


class TaskUpdate(types.RequestParams):
    task_id: str


class TaskExtension:
    def __init__(self, kept: KeptTasks, tools: Tools, changes: Changes) -> None:
        self._kept = kept
        self._tools = tools
        self._changes = changes

    def serve(self, server: Server[Any]) -> None:
        server.extensions[TASKS] = {}
        server.add_request_handler(UPDATE, TaskUpdate, self._update)

    async def call(self, context: Context, params: types.CallToolRequestParams) -> Any:
        """The answer to a call, or a task."""
        place = self._changes.tasks
        if place is None or not _knows_tasks(context):
            return await self._tools.call(context, params)
        ready = await self._tools.ready(context, params)
        if not isinstance(ready, Ready):
            return ready
        task = KeptTask(await self._kept.owner(context))
        answered, becomes_task = anyio.Event(), False

        def goes_on(life: int | None) -> float:
            nonlocal becomes_task
            if not self._kept.has_room(task.owner):
                return LONGEST_CALL
            becomes_task = True
            task.life = min(max(life or LIFE, LIFE), LONGEST_LIFE)
            self._kept.keep(task)
            answered.set()
            return task.life / 1000

        async def progress(*said: Any) -> None:
            if not becomes_task:
                await context.session.report_progress(*said)

        async def run() -> None:
            await self._kept.run(task, ready, LONGEST_CALL, progress, goes_on)
            answered.set()

        place.start_soon(run)
        try:
            await answered.wait()
        except BaseException:
            task.scope.cancel()
            raise
        if becomes_task:
            return {"resultType": "task", **_said(task)}
        if task.result is None:
            raise MCPError(UNAVAILABLE, "it could not be run")
        return task.result

    async def get(self, context: Context, params: types.GetTaskRequestParams) -> dict[str, Any]:
        require_tasks(context)
        task = await self._kept.of(context, params.task_id)
        if task.result is not None:
            result = task.result.model_dump(mode="json", by_alias=True, exclude_none=True)
            return {**_said(task), "result": {"resultType": "complete", **result}}
        if task.status == "failed":
            return {**_said(task), "error": {"code": UNAVAILABLE, "message": "it could not be run"}}
        return _said(task)

    async def cancel(self, context: Context, params: types.CancelTaskRequestParams) -> dict[str, Any]:
        require_tasks(context)
        task = await self._kept.of(context, params.task_id)
        if task.status == "working":
            task.cancel()
        return {}

    async def _update(self, context: Context, params: TaskUpdate) -> dict[str, Any]:
        """Answers to what nobody asked: none counts."""
        require_tasks(context)
        await self._kept.of(context, params.task_id)
        return {}


def _said(task: KeptTask) -> dict[str, Any]:
    # A tool that failed has ended, and said so.
    status = "completed" if task.result is not None else task.status
    return {
        "taskId": task.id, "status": status, "createdAt": task.created, "lastUpdatedAt": task.changed,
        "ttlMs": task.life, "pollIntervalMs": PAUSE,
    }  # fmt: skip


def _knows_tasks(context: Context) -> bool:
    capabilities = context.session.client_capabilities
    return capabilities is not None and TASKS in (capabilities.extensions or ())


def require_tasks(context: Context) -> None:
    """Raises MCPError where a client does not say that it knows tasks."""
    if not _knows_tasks(context):
        needed: dict[str, Any] = {"requiredCapabilities": {"extensions": {TASKS: {}}}}
        raise MCPError(types.MISSING_REQUIRED_CLIENT_CAPABILITY, "the client does not say that it knows tasks", needed)
