"""Calls that go on after they were answered: the tasks of the revision 2025-11-25, which the gateway keeps itself.

A call that a client wants as a task is decided when it is made, with whoever has to approve it. The server behind is
asked as for any other call, and what comes back is observed when it comes; then the client may fetch it. A task is the
session's that made it: for everybody else there is none of this id. In the revision 2026-07-28 tasks are an extension,
which this gateway does not offer: calls are answered when they have ended.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import CallNext, ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import LATEST_HANDSHAKE_VERSION

from policyengine.mcp.authorizing import UNAVAILABLE, UNMAPPED
from policyengine.mcp.changes import Changes
from policyengine.mcp.gating import Context, Gating
from policyengine.mcp.results import denied
from policyengine.mcp.sessions import Unnamed
from policyengine.mcp.tools import CALL, Ready, Tools
from policyengine.state.store import StoreError

log = logging.getLogger(__name__)

# For so many milliseconds a task is kept, if a client says nothing else, and at most.
LIFE, LONGEST_LIFE = 3_600_000, 86_400_000
# So many tasks of one session, and of all of them, are kept at a time.
MOST_OF_ONE, MOST = 100, 10_000
# How often, in milliseconds, a client may ask after one.
PAUSE = 500
_RELATED = "io.modelcontextprotocol/related-task"
CAPABILITY = types.ServerTasksCapability.model_validate(
    {"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}}
)  # fmt: skip


@dataclass(eq=False)
class _Kept:
    """A task, whose it is, and what became of it."""

    owner: str
    life: int
    id: str = field(default_factory=lambda: token_urlsafe(24))
    begun: float = field(default_factory=time.monotonic)
    created: str = field(default_factory=lambda: _now())
    changed: str = field(default_factory=lambda: _now())
    status: types.TaskStatus = "working"
    result: types.CallToolResult | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)
    scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    def become(self, status: types.TaskStatus) -> None:
        self.status, self.changed = status, _now()

    def said(self) -> dict[str, Any]:
        return {
            "taskId": self.id, "status": self.status, "createdAt": self.created, "lastUpdatedAt": self.changed,
            "ttl": self.life, "pollInterval": PAUSE,
        }  # fmt: skip


class Tasks:
    """A middleware for calls that are to be tasks, and the methods that are about them."""

    def __init__(self, gating: Gating, tools: Tools, changes: Changes) -> None:
        self._gating = gating
        self._tools = tools
        self._changes = changes
        self._kept: dict[str, _Kept] = {}

    def serve(self, server: Server[Any]) -> None:
        server.middleware.append(self)
        server.add_request_handler("tasks/get", types.GetTaskRequestParams, self._get)
        server.add_request_handler("tasks/result", types.GetTaskPayloadRequestParams, self._result)
        server.add_request_handler("tasks/cancel", types.CancelTaskRequestParams, self._cancel)
        server.add_request_handler("tasks/list", types.PaginatedRequestParams, self._list)

    async def __call__(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> Any:
        as_task = ctx.method == CALL and isinstance(ctx.params, Mapping) and ctx.params.get("task") is not None
        if not as_task or ctx.request_id is None or ctx.protocol_version != LATEST_HANDSHAKE_VERSION:
            return await call_next(ctx)
        if not ctx.session._connection.initialize_accepted:
            return await call_next(ctx)
        # The library has no such answer to a call: it is given here.
        return await self._begun(ctx, types.CallToolRequestParams.model_validate(ctx.params, by_name=False))

    async def _begun(self, context: Context, params: types.CallToolRequestParams) -> Any:
        owner, place = await self._owner(context), self._changes.tasks
        wanted = params.task.ttl if params.task is not None else None
        if place is None:
            raise MCPError(UNAVAILABLE, "there is no place for tasks here")
        if sum(one.owner == owner for one in self._living()) >= MOST_OF_ONE or len(self._kept) >= MOST:
            raise MCPError(UNAVAILABLE, "there are too many tasks")
        ready = await self._tools.ready(context, params, as_task=True)
        if not isinstance(ready, Ready):
            return ready
        task = _Kept(owner, min(max(LIFE if wanted is None else wanted, 0), LONGEST_LIFE))
        self._kept[task.id] = task
        place.start_soon(self._run, task, ready)
        return {"task": task.said()}

    async def _run(self, task: _Kept, ready: Ready) -> None:
        try:
            with task.scope:
                # What it may take at the server behind is what the client has time for.
                result = await self._tools.run(ready, seconds=task.life / 1000)
                task.result = result
                task.become("failed" if result.is_error else "completed")
        except MCPError:
            log.exception("a task could not be run")
        finally:
            if task.result is None:
                task.become("cancelled" if task.scope.cancel_called else "failed")
            task.ended.set()

    def _living(self) -> list[_Kept]:
        """All tasks but those whose time is over: nobody can fetch what they bring."""
        now = time.monotonic()
        for task in [one for one in self._kept.values() if now - one.begun > one.life / 1000]:
            task.scope.cancel()
            del self._kept[task.id]
        return list(self._kept.values())

    async def _owner(self, context: Context) -> str:
        try:
            return (await self._gating.sessions(context)).id
        except (Unnamed, StoreError):
            raise MCPError(UNAVAILABLE, "nobody knows whose tasks these are") from None

    async def _of(self, context: Context, id_: str) -> _Kept:
        owner = await self._owner(context)
        self._living()
        task = self._kept.get(id_)
        if task is None or task.owner != owner:
            raise MCPError(UNMAPPED, "there is no such task here")
        return task

    # ---- the methods ----

    async def _get(self, context: Context, params: types.GetTaskRequestParams) -> dict[str, Any]:
        return (await self._of(context, params.task_id)).said()

    async def _result(self, context: Context, params: types.GetTaskPayloadRequestParams) -> dict[str, Any]:
        task = await self._of(context, params.task_id)
        await task.ended.wait()
        result = task.result if task.result is not None else denied(f"the task was {task.status}")
        said = result.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {**said, "_meta": {**(said.get("_meta") or {}), _RELATED: {"taskId": task.id}}}

    async def _cancel(self, context: Context, params: types.CancelTaskRequestParams) -> dict[str, Any]:
        task = await self._of(context, params.task_id)
        if task.status != "working":
            raise MCPError(UNMAPPED, f"the task is {task.status} already")
        task.become("cancelled")
        task.scope.cancel()
        return task.said()

    async def _list(self, context: Context, _: types.PaginatedRequestParams | None) -> dict[str, Any]:
        owner = await self._owner(context)
        return {"tasks": [one.said() for one in self._living() if one.owner == owner]}


def _now() -> str:
    return datetime.now(UTC).isoformat()
