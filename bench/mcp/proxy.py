"""A gateway that only forwards, on the same library: the floor. It starts the server whose command it is given."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import mcp_types as types
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server


async def main() -> None:
    behind = StdioServerParameters(command=sys.argv[1], args=sys.argv[2:])
    async with Client(behind) as client:

        async def listing(_: Any, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
            return await client.list_tools(cursor=params.cursor if params is not None else None)

        async def call(context: Any, params: types.CallToolRequestParams) -> Any:
            return await client.call_tool(
                params.name, params.arguments or {}, progress_callback=context.session.report_progress
            )

        server = Server("proxy", on_list_tools=listing, on_call_tool=call)
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
