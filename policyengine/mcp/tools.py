"""Tools: the list of tools, and calls of them.

A tool is what its server says now, and what was approved. A call is decided on its final arguments, whatever was listed
before.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from policyengine.gate.argument_bounds import with_limits
from policyengine.gate.call import ToolCall
from policyengine.gate.session import Session
from policyengine.mcp import upstream_tasks
from policyengine.mcp.approving import InputWanted
from policyengine.mcp.authorizing import DENIED
from policyengine.mcp.changes import Changes
from policyengine.mcp.gating import LONGEST_ERROR, Context, Gating
from policyengine.mcp.list_pages import PAGE, after, place
from policyengine.mcp.pins import as_pinned
from policyengine.mcp.results import denied
from policyengine.mcp.upstream import KnownTool, Upstream, tools
from policyengine.mcp.upstream_tasks import GoesOn

log = logging.getLogger(__name__)

CALL = "tools/call"
# In seconds: for a server behind, where it is waited for.
LONGEST_CALL = 60.0
# Of so many tools the limits are found until the event loop has its turn.
TOLD = 50


class KnownTools:
    """The tools of the servers behind. `pins` are the digests of the approved tools; None if nobody pins them."""

    def __init__(self, upstreams: Sequence[Upstream], pins: Mapping[str, str] | None) -> None:
        self._upstreams = tuple(upstreams)
        self._pins = pins
        self._known: dict[str, KnownTool] = {}
        # How often the servers behind have been asked for their tools, one time after the other.
        self._fetches, self._fetching = 0, anyio.Lock()

    def forget(self) -> None:
        self._known.clear()

    async def get(self, name: str) -> KnownTool | None:
        return self._known.get(name) or (await self.now()).get(name)

    async def page(self, begin: int) -> dict[str, KnownTool]:
        """Those of which a page that begins there is: as they were when the first page was asked for."""
        return dict(self._known) if begin and self._known else await self.now()

    async def now(self) -> dict[str, KnownTool]:
        """The tools that there are now, as they were approved. Where they cannot be had, none is known. Those who ask
        while a server is asked wait, and are told together: what the servers have at a moment after they asked."""
        asked = self._fetches
        async with self._fetching:
            if self._fetches > asked:
                return dict(self._known)
            self._fetches += 1
            try:
                tools_known = await tools(self._upstreams)
                if self._pins is not None:
                    tools_known = await as_pinned(tools_known, self._pins)
            except BaseException as error:
                self._known.clear()
                # Who goes away while a server is asked has asked for nobody else.
                self._fetches -= not isinstance(error, Exception)
                raise
            # Until here calls are made of the tools as they were: a long list holds up none.
            self._known.clear()
            self._known.update(tools_known)
            return tools_known


@dataclass(frozen=True, slots=True)
class Ready:
    """A call that may run."""

    session: Session
    known: KnownTool
    call: ToolCall


class Tools:
    """`tools/list` and `tools/call`. With `limits`, a tool is listed with the bounds of its arguments that hold in any
    case."""

    def __init__(self, gating: Gating, known: KnownTools, changes: Changes, limits: bool = False) -> None:
        self._gating = gating
        self._known = known
        self._changes = changes
        self._limits = limits

    async def listing(self, context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        self._changes.heard_by(context.session)
        begin = place(params)
        try:
            session = await self._gating.sessions(context)
            known = await self._known.page(begin)
            listed = await session.listed_async(list(known)[begin : begin + PAGE])
            shown = await self._gating.shown(context, CALL, listed, _called, known)
            tools_told = await self._told(session, [_named(known[name]) for name in shown])
        except MCPError:
            raise
        except Exception:
            # Could not ask is not "no restrictions".
            log.exception("tools could not be listed")
            return types.ListToolsResult(tools=[])
        return types.ListToolsResult(tools=tools_told, next_cursor=after(begin, known), cache_scope="private")

    async def _told(self, session: Session, found: list[types.Tool]) -> list[types.Tool]:
        if not self._limits:
            return found
        limits: dict[str, Any] = {}
        for at in range(0, len(found), TOLD):
            limits |= session.listed_limits(one.name for one in found[at : at + TOLD])
            await anyio.sleep(0)
        return [
            one.model_copy(update={"input_schema": with_limits(one.input_schema, limits[one.name])})
            if one.name in limits
            else one
            for one in found
        ]

    async def call(
        self, context: Context, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        ready = await self.ready(context, params)
        if not isinstance(ready, Ready):
            return ready
        return await self.run(ready, context.session.report_progress)

    async def ready(
        self, context: Context, params: types.CallToolRequestParams, as_task: bool = False
    ) -> Ready | types.CallToolResult | types.InputRequiredResult:
        """A call that is decided and may run, or the answer to one that may not. Raises MCPError for what cannot be
        decided, and for a task of a tool that has none."""
        name = params.name
        try:
            session = await self._gating.sessions(context)
            known = await self._known.get(name)
            if known is None:
                return denied(f"there is no tool `{name[:64]}` here")
            if as_task and not _has_tasks(known.tool):
                raise MCPError(types.METHOD_NOT_FOUND, f"`{name}` runs as no task")
            if self._gating.authorizing is not None:
                await self._gating.authorizing.call(context, known.mapping)
            arguments = params.arguments or {}
            call = await self._gating.decided(session, name, arguments, context, params.input_responses)
            return Ready(session, known, call) if isinstance(call, ToolCall) else call
        except InputWanted as wanted:
            return wanted.result
        except MCPError as error:
            if error.error.code != DENIED:
                raise
            return denied(error.error.message)
        except Exception:
            log.exception("a call could not be decided")
            return denied(f"`{name[:64]}` could not be run")

    async def run(
        self,
        ready: Ready,
        progress: Any = None,
        seconds: float = LONGEST_CALL,
        goes_on: GoesOn | None = None,
    ) -> types.CallToolResult:
        """The result of a call, observed. The server behind has so many seconds; `goes_on` hears if it makes a task of
        the call, and says how many it has then."""

        async def run(arguments: dict[str, Any]) -> types.CallToolResult:
            return await _result(ready.known, arguments, progress, seconds, goes_on)

        try:
            return await self._gating.ran(ready.session, ready.call, run)
        except MCPError:
            raise
        except Exception:
            log.exception("a call could not be made")
            return denied(f"`{ready.known.name[:64]}` could not be run")


async def _result(
    known: KnownTool, arguments: dict[str, Any], progress: Any, seconds: float, goes_on: GoesOn | None
) -> types.CallToolResult:
    """What the server behind answers. What an error says is read like any result: it is as much a stranger's."""
    client, name = known.upstream.client, known.tool.name
    try:
        if upstream_tasks.is_needed(known.tool):
            return await upstream_tasks.awaited(client, name, arguments, seconds, goes_on)
        return await upstream_tasks.called(client, name, arguments, seconds, progress, goes_on)
    except MCPError as error:
        return denied(f"`{known.name}` failed: {error.error.message[:LONGEST_ERROR]}")


def _named(known: KnownTool) -> types.Tool:
    """A tool as clients call it."""
    return known.tool if known.tool.name == known.name else known.tool.model_copy(update={"name": known.name})


def _has_tasks(tool: types.Tool) -> bool:
    return tool.execution is not None and tool.execution.task_support in ("optional", "required")


def _called(name: str) -> dict[str, Any]:
    return {"name": name}
