"""A gateway in front of a server that writes down what ran, and a client that asks it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
SERVER = str(Path(__file__).with_name("server.py"))
GATEWAY = [sys.executable, "-m", "policyengine.cli", "mcp"]


class Shop:
    # Where the commands of a process are that has imported all that they need (`conftest.py`).
    warm: Path

    def __init__(self, path: Path, policies: str) -> None:
        self.path = path
        self.policies = path / "shop.pol"
        self.policies.write_text(policies)

    def ran(self) -> list[str]:
        log = self.path / "ran"
        return log.read_text().splitlines() if log.exists() else []

    def behind(self, *more: str) -> list[str]:
        return self.script(SERVER, str(self.path / "ran"), *more)

    def script(self, *words: str) -> list[str]:
        return [str(self.warm / "script"), *words]

    def gateway(self, *options: str, behind: list[str] | None = None) -> StdioServerParameters:
        before = ["mcp", "--policies", str(self.policies), "-p", json.dumps(ANN), *options]
        return StdioServerParameters(
            command=str(self.warm / "policyengine"), args=[*before, "--", *(behind or self.behind())]
        )

    def ask(self, steps: Any, *options: str, mode: Any = "auto", behind: list[str] | None = None) -> Any:
        async def asking() -> Any:
            with anyio.fail_after(60):
                async with Client(self.gateway(*options, behind=behind), mode=mode) as client:
                    return await steps(client)

        return anyio.run(asking)


@contextmanager
def listening(port: int, *command: str) -> Iterator[str]:
    """The URL of a process that serves MCP over HTTP on this machine."""
    serving = subprocess.Popen(command)
    try:
        for _ in range(600):
            with socket.socket() as trying:
                if trying.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        serving.terminate()
        serving.wait(20)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def reached(url: str, steps: Any, headers: Mapping[str, str] | None = None, mode: Any = "legacy") -> Any:
    """What a client over HTTP makes of a server."""

    async def asking() -> Any:
        with anyio.fail_after(60):
            http = create_mcp_http_client(dict(headers or {}))
            async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
                return await steps(client)

    return anyio.run(asking)


def text(result: Any) -> str:
    return "".join(block.text for block in result.content)
