"""The servers behind a gateway: as the command line names them, or the `mcp.json` of a client.

Commands, environment and headers there are the gateway's own way to a server; the credentials of a client are never
passed on.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from policyengine.mcp.changes import Changes
from policyengine.mcp.child_process import child
from policyengine.mcp.upstream import Upstream
from policyengine.mcp.upstream_tasks import UpstreamTasks

# So many seconds a server behind may take for one answer.
TIMEOUT = 60.0
_STREAMABLE = ("http", "streamable-http", "streamableHttp")
_VARIABLE = re.compile(r"\$\{(?:(?:env:)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<otherwise>[^}]*))?|[^}]*)\}")


class ServerAway(OSError):
    """A server does not answer, or not as an MCP server. The message names it."""


class WrongConfig(ValueError):
    """The file names no servers. The message names it, and no value in it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that is started (`command`) or reached (`url`)."""

    command: tuple[str, ...] = ()
    url: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_config(path: Path) -> dict[str, Target]:
    """The servers in a client's `mcp.json`, by name. Raises WrongConfig."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise WrongConfig(f"{path}: no servers can be read from it") from None
    servers = value.get("mcpServers", value.get("servers")) if isinstance(value, dict) else None
    if not isinstance(servers, dict) or not servers:
        raise WrongConfig(f"{path}: it has no `mcpServers`")
    enabled = {str(name): one for name, one in servers.items() if not (isinstance(one, dict) and _is_off(one))}
    if not enabled:
        raise WrongConfig(f"{path}: all of its servers are disabled")
    return {name: _target(path, name, one) for name, one in enabled.items()}


def _is_off(one: dict[str, Any]) -> bool:
    return one.get("disabled") is True or one.get("enabled") is False


def _target(path: Path, name: str, one: Any) -> Target:
    if isinstance(one, dict):
        texts = [one.get(key, {}) for key in ("env", "headers")]
        if all(isinstance(each, dict) and all(isinstance(v, str) for v in each.values()) for each in texts):
            command, arguments, url = one.get("command"), one.get("args", []), one.get("url")
            if isinstance(command, str) and isinstance(arguments, list) and url is None:
                said = [_expanded(path, name, str(each)) for each in (command, *arguments)]
                return Target(tuple(said), "", _all_expanded(path, name, texts[0]))
            if isinstance(url, str) and command is None and one.get("type", "http") in _STREAMABLE:
                return Target((), _expanded(path, name, url), {}, _all_expanded(path, name, texts[1]))
    raise WrongConfig(f"{path}: server `{name}` has neither a command nor the URL of a Streamable HTTP server")


def _all_expanded(path: Path, name: str, texts: Mapping[str, str]) -> dict[str, str]:
    return {key: _expanded(path, name, value) for key, value in texts.items()}


def _expanded(path: Path, name: str, text: str) -> str:
    """A text with the variables of the environment that it names, as clients write them: `${NAME}`, `${env:NAME}`, or
    `${NAME:-what else}`. What only a client knows is refused."""

    def value(found: re.Match[str]) -> str:
        said = os.environ.get(found["name"], found["otherwise"]) if found["name"] else None
        if said is None:
            raise WrongConfig(f"{path}: server `{name}` needs `{found[0]}`, which nothing here says")
        return said

    return _VARIABLE.sub(value, text)


def shown(name: str, target: Target) -> str:
    """What tells a server from others, and shows nobody its arguments and headers."""
    return f"`{name or (target.command[0] if target.command else target.url)}`"


@asynccontextmanager
async def connected(targets: Mapping[str, Target], changes: Changes | None = None) -> AsyncIterator[list[Upstream]]:
    """The servers behind, by name. Raises ServerAway, alone or in a group."""
    told = changes if changes is not None else Changes()
    async with AsyncExitStack() as stack:
        upstreams = []
        for name, target in targets.items():
            at: Any
            if target.command:
                environment = dict(target.environment) or None
                command, *given = target.command
                at = child(StdioServerParameters(command=command, args=given, env=environment))
            elif target.headers:
                client = await stack.enter_async_context(create_mcp_http_client(dict(target.headers)))
                at = streamable_http_client(target.url, http_client=client)
            else:
                at = target.url
            made = Client(at, read_timeout_seconds=TIMEOUT, message_handler=told.heard, extensions=[UpstreamTasks()])
            try:
                upstreams.append(Upstream(name, await stack.enter_async_context(made)))
            except Exception as error:
                raise ServerAway(f"the server {shown(name, target)} does not answer as one of MCP") from error
        async with anyio.create_task_group() as listening:
            told.tasks = listening
            if changes is not None:
                for upstream in upstreams:
                    listening.start_soon(changes.listen_to, upstream.client)
            yield upstreams
            listening.cancel_scope.cancel()
