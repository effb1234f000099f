"""Calls that continue after they were answered: kept for a while, each for the session that made it.

For all other sessions, the id does not exist. A result is observed when it arrives, whether or not it is fetched.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from policyengine.mcp.authorizing import UNAVAILABLE, UNMAPPED
from policyengine.mcp.gating import Context, Gating
from policyengine.mcp.methods import MOST_TASKS, MOST_TASKS_OF_ONE
from policyengine.mcp.sessions import Unnamed
from policyengine.mcp.tools import LONGEST_CALL, Ready, Tools
from policyengine.mcp.upstream_tasks import GoesOn
from policyengine.state.store import StoreError

log = logging.getLogger(__name__)

# For so many milliseconds a task is kept, if a client says nothing else.
LIFE = 3_600_000
# How often, in milliseconds, a client may ask after one.
PAUSE = 500


@dataclass(eq=False)
class KeptTask:
    """A task, its owner, and its state."""

    owner: str
    life: int = LIFE
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

    def cancel(self) -> None:
        self.become("cancelled")
        self.scope.cancel()


class KeptTasks:
    def __init__(self, gating: Gating, tools: Tools) -> None:
        self._gating = gating
        self._tools = tools
        self._kept: dict[str, KeptTask] = {}

    async def owner(self, context: Context) -> str:
        try:
            return (await self._gating.sessions(context)).id
        except (Unnamed, StoreError):
            raise MCPError(UNAVAILABLE, "the session that the task belongs to cannot be told") from None

    def living(self) -> list[KeptTask]:
        """All tasks but those whose time is over: nobody can fetch what they bring."""
        now = time.monotonic()
        for task in [one for one in self._kept.values() if now - one.begun > one.life / 1000]:
            task.scope.cancel()
            del self._kept[task.id]
        return list(self._kept.values())

    def has_room(self, owner: str) -> bool:
        return sum(one.owner == owner for one in self.living()) < MOST_TASKS_OF_ONE and len(self._kept) < MOST_TASKS

    def keep(self, task: KeptTask) -> None:
        self._kept[task.id] = task

    async def of(self, context: Context, id_: str) -> KeptTask:
        """A task of whoever asks. Raises MCPError."""
        owner = await self.owner(context)
        self.living()
        task = self._kept.get(id_)
        if task is None or task.owner != owner:
            raise MCPError(UNMAPPED, "there is no such task here")
        return task

    async def run(
        self,
        task: KeptTask,
        ready: Ready,
        seconds: float = LONGEST_CALL,
        progress: Any = None,
        goes_on: GoesOn | None = None,
    ) -> None:
        """Until it has ended. `goes_on` hears if the server behind makes a task of it."""
        try:
            with task.scope:
                result = await self._tools.run(ready, progress, seconds, goes_on)
                if not task.scope.cancel_called:
                    task.result = result
                    task.become("failed" if result.is_error else "completed")
        except MCPError:
            log.exception("a task could not be run")
        finally:
            if task.result is None:
                task.become("cancelled" if task.scope.cancel_called else "failed")
            task.ended.set()


def _now() -> str:
    return datetime.now(UTC).isoformat()
