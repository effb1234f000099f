"""Running a gateway: the servers behind it, and clients in front of it over standard streams or HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from secrets import token_hex
from typing import Any

import anyio
import uvicorn
from cachetools import TTLCache
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

from policyengine.engine import Engine
from policyengine.gate.session import Session
from policyengine.mcp.approving import Approving
from policyengine.mcp.changes import Changes
from policyengine.mcp.gateway import Context, Gateway
from policyengine.mcp.pins import Difference, differences, pins_of, read_pins, write_pins
from policyengine.mcp.targets import Target, connected
from policyengine.mcp.upstream import definitions, tools

# So many sessions of clients are remembered, each for so many seconds after its begin.
SESSIONS, LIFE = 10_000, 86_400.0


class _Sessions:
    """The gate's session of a client's; where the protocol has none, one for all that come without."""

    def __init__(self, engine: Engine, principal: Mapping[str, Any], agent: Mapping[str, Any] | None) -> None:
        self._engine = engine
        self._principal = principal
        self._agent = agent
        self._known: TTLCache[str, Session] = TTLCache(SESSIONS, LIFE)
        self._process = token_hex(16)

    async def of(self, context: Context) -> Session:
        headers = getattr(context.request, "headers", None)
        key = str(headers.get("mcp-session-id", "")) if headers is not None else ""
        session = self._known.get(key)
        if session is None:
            # One that is forgotten here is the same one in the store: what it has seen, it has seen.
            name = sha256(f"{self._process}:{key}".encode()).hexdigest()
            session = await self._engine.session_async(principal=self._principal, agent=self._agent, name=f"mcp:{name}")
            session = self._known.setdefault(key, session)
        return session


@dataclass(frozen=True, slots=True)
class Gated:
    """Who uses which servers, under which policies. `pins` is where what their tools look like is written down."""

    engine: Engine
    principal: Mapping[str, Any]
    agent: Mapping[str, Any] | None
    targets: Mapping[str, Target]
    pins: Path | None


def serve(gated: Gated) -> None:
    """Serve one client on standard input and output, until it goes. Raises WrongPins, StoreError and OSError."""
    anyio.run(_serve, gated, _pinned(gated))


async def _serve(gated: Gated, pins: Mapping[str, str] | None) -> None:
    async with _server(gated, pins) as server, stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


def serve_http(gated: Gated, host: str, port: int, token: str | None) -> None:
    """Serve clients over Streamable HTTP at `/mcp`, until the process is told to end. Raises as `serve` does."""
    anyio.run(_serve_http, gated, _pinned(gated), host, port, token)


async def _serve_http(gated: Gated, pins: Mapping[str, str] | None, host: str, port: int, token: str | None) -> None:
    async with _server(gated, pins) as server:
        app: Any = server.streamable_http_app(host=host)
        if token is not None:
            app = _guarded(app, token)
        config = uvicorn.Config(app, host=host, port=port, log_level="warning")
        await uvicorn.Server(config).serve()


@asynccontextmanager
async def _server(gated: Gated, pins: Mapping[str, str] | None) -> AsyncIterator[Server[Any]]:
    """The gateway, while the servers behind it are connected."""
    changes = Changes()
    async with connected(gated.targets, changes) as upstreams:
        sessions = _Sessions(gated.engine, gated.principal, gated.agent)
        yield Gateway(sessions.of, upstreams, pins, Approving(gated.engine), changes).server()


def _pinned(gated: Gated) -> Mapping[str, str] | None:
    return read_pins(gated.pins) if gated.pins is not None else None


def _guarded(app: Any, token: str) -> Any:
    """The application, for requests that bring the token."""
    wanted = f"Bearer {token}".encode()

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        given = [value for name, value in scope.get("headers", ()) if name.lower() == b"authorization"]
        if scope["type"] == "lifespan" or (len(given) == 1 and compare_digest(given[0], wanted)):
            await app(scope, receive, send)
        elif scope["type"] == "http":
            headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        else:
            await send({"type": "websocket.close", "code": 1008})

    return guarded


def definitions_of(targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    """What the servers say of their tools now, by name. Raises OSError."""
    return anyio.run(_definitions, targets)


async def _definitions(targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    async with connected(targets) as upstreams:
        return definitions(await tools(upstreams))


def pin(targets: Mapping[str, Target], path: Path) -> int:
    """Write down what the tools look like now; returns how many there are. Raises OSError."""
    pinned = pins_of(definitions_of(targets))
    write_pins(path, pinned)
    return len(pinned)


def diff(targets: Mapping[str, Target], path: Path) -> list[Difference]:
    """What is not as it was pinned. Raises WrongPins and OSError."""
    pinned = read_pins(path)
    return differences(pinned, definitions_of(targets))
