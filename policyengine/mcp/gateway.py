"""An MCP server that asks the gate, with other servers behind it.

Only `tools/list` and `tools/call` are answered, and `ping`. Every call is decided on its final arguments, whatever was
listed before; a list depends on the policies and on who asks, and on nothing else that this session did. Where the
policies or a server behind cannot be asked, nothing is listed and nothing runs.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from policyengine.gate.session import Session
from policyengine.mcp.pins import differences
from policyengine.mcp.results import answered, denied, seen
from policyengine.mcp.upstream import Known, Upstream, definitions, tools
from policyengine.version import VERSION

log = logging.getLogger(__name__)

LONGEST_ERROR = 500


class Gateway:
    """One client's view of the servers behind. `pins` are the digests of tools as they were approved; None where
    nobody pins them."""

    def __init__(self, session: Session, upstreams: Sequence[Upstream], pins: Mapping[str, str] | None = None) -> None:
        self._session = session
        self._upstreams = tuple(upstreams)
        self._pins = pins
        self._known: dict[str, Known] = {}

    def server(self) -> Server[Any]:
        return Server(
            "policyengine",
            version=VERSION,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def _list(self, _: Any, __: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        try:
            known = await self._refreshed()
            shown = self._session.listed(known)
        except Exception:
            # Could not ask is not "no restrictions".
            log.exception("tools could not be listed")
            return types.ListToolsResult(tools=[])
        listed = [known[name].tool.model_copy(update={"name": name}) for name in shown]
        return types.ListToolsResult(tools=listed, cache_scope="private")

    async def _call(self, _: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        name = params.name
        try:
            known = self._known.get(name) or (await self._refreshed()).get(name)
            if known is None:
                return denied(f"there is no tool `{name[:64]}` here")
            call = await self._session.call_async(name, params.arguments or {})
            if not call.allowed:
                return denied(call.reason)
            result = await self._result(known, dict(call.arguments or {}))
            looked_at = seen(result)
            return answered(result, looked_at, await self._session.observe_async(call, looked_at))
        except Exception:
            log.exception("a call could not be decided or made")
            return denied(f"`{name[:64]}` could not be run")

    @staticmethod
    async def _result(known: Known, arguments: dict[str, Any]) -> types.CallToolResult:
        """What the server behind answers. What an error says is read like any result: it is as much a stranger's."""
        try:
            return await known.upstream.client.call_tool(known.tool.name, arguments)
        except MCPError as error:
            return denied(f"`{known.name}` failed: {error.error.message[:LONGEST_ERROR]}")

    async def _refreshed(self) -> dict[str, Known]:
        """The tools that there are now, as they were approved. Where they cannot be had, none is known."""
        self._known = {}
        found = await tools(self._upstreams)
        if self._pins is not None:
            changed = {one.tool for one in differences(self._pins, definitions(found))}
            found = {name: known for name, known in found.items() if name not in changed}
        self._known = found
        return found
