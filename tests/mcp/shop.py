"""A gateway in front of a server that writes down what ran, and a client that asks it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp.client.stdio import StdioServerParameters

ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}
SERVER = str(Path(__file__).with_name("server.py"))
GATEWAY = [sys.executable, "-m", "policyengine.cli", "mcp"]


class Shop:
    def __init__(self, path: Path, policies: str) -> None:
        self.path = path
        self.policies = path / "shop.pol"
        self.policies.write_text(policies)

    def ran(self) -> list[str]:
        log = self.path / "ran"
        return log.read_text().splitlines() if log.exists() else []

    def behind(self, *more: str) -> list[str]:
        return [sys.executable, SERVER, str(self.path / "ran"), *more]

    def gateway(self, *options: str, behind: list[str] | None = None) -> StdioServerParameters:
        before = [*GATEWAY[1:], "--policies", str(self.policies), "-p", json.dumps(ANN), *options]
        return StdioServerParameters(command=sys.executable, args=[*before, "--", *(behind or self.behind())])

    def ask(self, steps: Any, *options: str, mode: Any = "auto", behind: list[str] | None = None) -> Any:
        async def asking() -> Any:
            with anyio.fail_after(60):
                async with Client(self.gateway(*options, behind=behind), mode=mode) as client:
                    return await steps(client)

        return anyio.run(asking)


def text(result: Any) -> str:
    return "".join(block.text for block in result.content)
