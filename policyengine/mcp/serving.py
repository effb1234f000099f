"""Runs a gateway: the servers behind it, and clients in front of it over standard streams or HTTP."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import uvicorn
from mcp.server.lowlevel import Server

from policyengine.engine import Engine
from policyengine.events.sink import Sink
from policyengine.mcp.approving import Approving, Means
from policyengine.mcp.authorizing import Authorizing, Elsewhere, InProcess
from policyengine.mcp.callers import Anybody, Entrance, OneToken, Tokens
from policyengine.mcp.changes import Changes
from policyengine.mcp.decision_point import DecisionPoint
from policyengine.mcp.failed_attempts import FailedAttempts
from policyengine.mcp.gateway import Gateway
from policyengine.mcp.http_middleware import GatewayMiddleware
from policyengine.mcp.pins import Difference, differences, pins_of, read_pins, write_pins
from policyengine.mcp.sessions import ClientSessions, Who, arrival_of
from policyengine.mcp.standard_streams import standard_streams
from policyengine.mcp.targets import ServerAway, Target, connected, shown
from policyengine.mcp.upstream import definitions, tools
from policyengine.settings.gateway import GatewaySettings
from policyengine.warm.collector import settled

T = TypeVar("T")

_LOOP: dict[str, Any] = {"use_uvloop": sys.platform != "win32"}


@dataclass(frozen=True, slots=True)
class Decisions:
    """Where messages are decided: at the decision point with this URL, or in process. A strict gateway decides no
    method that COAZ does not name."""

    pdp: str | None = None
    credential: str | None = field(default=None, repr=False)
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Gated:
    """Who uses which servers, under which policies. `pins` is where what their tools look like is written down; with
    `limits` tools are listed with the limits of their arguments."""

    engine: Engine
    who: Who
    targets: Mapping[str, Target]
    pins: Path | None
    decisions: Decisions = Decisions()
    means: Means = field(default_factory=Means)
    limits: bool = False


def _run(function: Callable[..., Awaitable[T]], *args: Any) -> T:
    """What it returns. Of a server behind that does not answer, and of a stream that cannot be written, that is told,
    and not where it was found out."""
    try:
        return anyio.run(function, *args, backend_options=_LOOP)
    except ExceptionGroup as group:
        told: Any = group.subgroup(ServerAway) or group.subgroup(OSError)
        while isinstance(told, ExceptionGroup):
            told = told.exceptions[0]
        if told is not None:
            raise told from None
        raise


def serve(gated: Gated) -> None:
    """Serve one client on standard input and output, until it goes. Raises WrongPins, StoreError and OSError."""
    _run(_serve, gated, _pinned(gated))


async def _serve(gated: Gated, pins: Mapping[str, str] | None) -> None:
    async with _server(gated, pins) as server, standard_streams() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


@dataclass(frozen=True, slots=True)
class Listening:
    """Where clients are served over HTTP, and who may come in: those with tokens of issuers that `settings` name, or
    with the one token; without either, whoever reaches the address."""

    host: str
    port: int
    token: str | None = field(default=None, repr=False)
    settings: GatewaySettings | None = None
    proxies: tuple[Any, ...] = ()

    def entry(self) -> Entrance:
        if self.settings is not None:
            return Tokens(self.settings)
        return OneToken(self.token) if self.token is not None else Anybody()

    def attempts(self, events: Sink) -> FailedAttempts:
        if self.settings is None:
            return FailedAttempts(events)
        return FailedAttempts(events, self.settings.failures, self.settings.failures_per)


def serve_http(gated: Gated, listening: Listening) -> None:
    """Serve clients over Streamable HTTP at `/mcp`, until the process is told to end. Raises as `serve` does."""
    _run(_serve_http, gated, _pinned(gated), listening)


async def _serve_http(gated: Gated, pins: Mapping[str, str] | None, listening: Listening) -> None:
    async with _server(gated, pins, shared=True) as server:
        secure = listening.settings is not None and listening.settings.resource.startswith("https:")
        inner = server.streamable_http_app(host=listening.host)
        app: Any = GatewayMiddleware(
            inner, listening.entry(), listening.attempts(gated.engine.events), listening.proxies, secure=secure
        )
        # Its own idea of proxies believes whoever is on this machine.
        config = uvicorn.Config(app, host=listening.host, port=listening.port, log_level="warning", proxy_headers=False)
        await uvicorn.Server(config).serve()


@asynccontextmanager
async def _server(gated: Gated, pins: Mapping[str, str] | None, *, shared: bool = False) -> AsyncIterator[Server[Any]]:
    """The gateway, while the servers behind it are connected."""
    changes = Changes()
    async with connected(gated.targets, changes) as upstreams, _decider(gated) as decider:
        sessions = ClientSessions(gated.engine, gated.who)
        authorizing = Authorizing(decider, gated.who.token, strict=gated.decisions.strict)
        approving = Approving(gated.engine, gated.means)
        gateway = Gateway(sessions.of, upstreams, pins, approving, changes, authorizing, shared, gated.limits)
        with settled():
            yield gateway.server()


@asynccontextmanager
async def _decider(gated: Gated) -> AsyncIterator[InProcess | Elsewhere]:
    if gated.decisions.pdp is None:
        yield InProcess(gated.engine, lambda context: gated.who.of(arrival_of(context).caller))
        return
    async with DecisionPoint(gated.decisions.pdp, gated.decisions.credential) as point:
        yield Elsewhere(point)


def _pinned(gated: Gated) -> Mapping[str, str] | None:
    return read_pins(gated.pins) if gated.pins is not None else None


def definitions_of(targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    """What the servers say of their tools now, by name. Raises OSError."""
    return _run(_definitions, targets)


async def _definitions(targets: Mapping[str, Target]) -> dict[str, dict[str, Any]]:
    async with connected(targets) as upstreams:
        try:
            return definitions(await tools(upstreams))
        except Exception as error:
            # Whatever the client raises of a server that has ended, is late, refuses, or answers what is no list.
            named = ", ".join(shown(name, target) for name, target in targets.items())
            servers = f"the server {named}" if len(targets) == 1 else f"one of the servers {named}"
            raise ServerAway(f"{servers} does not say what tools it has") from error


def pin(targets: Mapping[str, Target], path: Path) -> int:
    """Write down what the tools look like now; returns how many there are. Raises OSError."""
    pinned = pins_of(definitions_of(targets))
    write_pins(path, pinned)
    return len(pinned)


def diff(targets: Mapping[str, Target], path: Path) -> list[Difference]:
    """What is not as it was pinned. Raises WrongPins and OSError."""
    pinned = read_pins(path)
    return differences(pinned, definitions_of(targets))
