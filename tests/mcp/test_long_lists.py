"""Many who ask a gateway at once for tools, while a server behind takes its time, ask that server once or twice."""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp import Client
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError

from policyengine import Engine
from policyengine.mcp.gateway import Gateway
from policyengine.mcp.list_pages import PAGE
from policyengine.mcp.pins import pins_of
from policyengine.mcp.sessions import ClientSessions, Who
from policyengine.mcp.upstream import Upstream, tools
from tests.mcp.shop import ANN, text

POLICIES = "use ai\npermit all: call on Tool for User\npermit results: receive on Tool for User\n"
CLIENTS = 12


class Slow:
    """A server that lists its tools when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked, self.may, self.fails = 0, anyio.Event(), False

    def server(self) -> Server[Any]:
        return Server("slow", on_list_tools=self._list, on_call_tool=self._call)

    async def _list(self, _context: Any, _params: Any) -> types.ListToolsResult:
        self.asked += 1
        await self.may.wait()
        if self.fails:
            raise MCPError(code=-32603, message="away")
        return types.ListToolsResult(tools=[types.Tool(name="add", input_schema={"type": "object"})])

    async def _call(self, _context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        return types.CallToolResult(content=[types.TextContent(text=params.name)])


def asked(steps: Any) -> Any:
    sessions = ClientSessions(Engine.from_text(POLICIES), Who(ANN, None))

    async def asking() -> Any:
        slow = Slow()
        with anyio.fail_after(30):
            async with Client(slow.server()) as upstream:
                server = Gateway(sessions.of, [Upstream("", upstream)]).server()
                async with Client(server) as client:
                    return await steps(slow, client)

    return anyio.run(asking)


@pytest.mark.parametrize("fails", [False, True])
def test_many_calls_fetch_what_there_is_together(fails: bool) -> None:
    async def steps(slow: Slow, client: Client) -> Any:
        slow.fails, denied = fails, list[bool]()

        async def call() -> None:
            try:
                denied.append(bool((await client.call_tool("add", {})).is_error))
            except MCPError:
                denied.append(True)

        async with anyio.create_task_group() as tasks:
            for _ in range(CLIENTS):
                tasks.start_soon(call)
            await anyio.wait_all_tasks_blocked()
            slow.may.set()
        return slow.asked, denied

    times, denied = asked(steps)
    # Its client asks as well, for what a tool says that it returns.
    assert times < CLIENTS
    assert denied == [fails] * CLIENTS


def test_a_call_does_not_wait_for_a_list() -> None:
    async def steps(slow: Slow, client: Client) -> Any:
        slow.may.set()
        await client.list_tools()
        slow.may = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.list_tools)
            await anyio.wait_all_tasks_blocked()
            answer = await client.call_tool("add", {})
            waits = slow.asked
            slow.may.set()
        return waits, text(answer)

    assert asked(steps) == (2, "add")


class Long:
    """A server with this many tools."""

    def __init__(self, count: int) -> None:
        self.tools = [types.Tool(name=f"t{at}", input_schema={"type": "object"}) for at in range(count)]

    def server(self) -> Server[Any]:
        return Server("long", on_list_tools=self._list)

    async def _list(self, _context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=self.tools)


def test_a_long_list_comes_in_pages() -> None:
    count = 2 * PAGE + 7
    sessions = ClientSessions(Engine.from_text(POLICIES), Who(ANN, None))

    async def asking() -> list[list[str]]:
        pages: list[list[str]] = []
        async with Client(Long(count).server()) as upstream:
            known = await tools([Upstream("", upstream)])
            pins = pins_of({name: one.definition for name, one in known.items()})
            del pins["t3"]
            server = Gateway(sessions.of, [Upstream("", upstream)], pins).server()
            async with Client(server) as client:
                cursor = None
                while cursor is not None or not pages:
                    page = await client.list_tools(cursor=cursor)
                    pages.append([tool.name for tool in page.tools])
                    cursor = page.next_cursor
                with pytest.raises(MCPError):
                    await client.list_tools(cursor="-1")
        return pages

    pages = anyio.run(asking)
    assert [len(page) for page in pages] == [PAGE, PAGE, 6]
    assert [name for page in pages for name in page] == [f"t{at}" for at in range(count) if at != 3]
