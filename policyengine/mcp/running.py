"""Running a gateway: servers behind it started or reached, and a client in front of it, over standard streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.server.stdio import stdio_server

from policyengine.engine import Engine
from policyengine.mcp.gateway import Gateway
from policyengine.mcp.pins import Difference, differences, pins_of, read_pins, write_pins
from policyengine.mcp.upstream import Upstream, definitions, tools

# So many seconds a server behind may take for one answer.
TIMEOUT = 60.0
# A server behind that is started or reached: a command, or the URL of a Streamable HTTP server.
Target = Sequence[str] | str


def serve(
    engine: Engine,
    principal: Mapping[str, Any],
    agent: Mapping[str, Any] | None,
    targets: Mapping[str, Target],
    pins: Path | None,
) -> None:
    """Serve one client on standard input and output, until it goes. Raises WrongPins, StoreError and OSError."""
    anyio.run(_serve, engine, principal, agent, targets, read_pins(pins) if pins is not None else None)


async def _serve(
    engine: Engine,
    principal: Mapping[str, Any],
    agent: Mapping[str, Any] | None,
    targets: Mapping[str, Target],
    pins: Mapping[str, str] | None,
) -> None:
    async with connected(targets) as upstreams:
        session = await engine.session_async(principal=principal, agent=agent)
        server = Gateway(session, upstreams, pins).server()
        async with stdio_server() as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())


def pin(targets: Mapping[str, Target], path: Path) -> int:
    """Write down what the tools look like now; returns how many there are. Raises OSError."""
    pinned = anyio.run(_pins, targets)
    write_pins(path, pinned)
    return len(pinned)


async def _pins(targets: Mapping[str, Target]) -> dict[str, str]:
    async with connected(targets) as upstreams:
        return pins_of(definitions(await tools(upstreams)))


def diff(targets: Mapping[str, Target], path: Path) -> list[Difference]:
    """What is not as it was pinned. Raises WrongPins and OSError."""
    return anyio.run(_differences, targets, read_pins(path))


async def _differences(targets: Mapping[str, Target], pinned: Mapping[str, str]) -> list[Difference]:
    async with connected(targets) as upstreams:
        return differences(pinned, definitions(await tools(upstreams)))


@asynccontextmanager
async def connected(targets: Mapping[str, Target]) -> AsyncIterator[list[Upstream]]:
    """The servers behind, by name. What a client sends of its own credentials never reaches them."""
    async with AsyncExitStack() as stack:
        upstreams = []
        for name, target in targets.items():
            at = target if isinstance(target, str) else StdioServerParameters(command=target[0], args=list(target[1:]))
            client = await stack.enter_async_context(Client(at, read_timeout_seconds=TIMEOUT))
            upstreams.append(Upstream(name, client))
        yield upstreams
