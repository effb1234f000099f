"""The servers that a client's file names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine.mcp.targets import Target, WrongConfig, read_config
from policyengine.mcp.upstream import Upstream, behind_prompt


def config(path: Path, **servers: Any) -> Path:
    file = path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": servers}))
    return file


def test_servers_are_read_as_clients_write_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "s3cret")
    monkeypatch.delenv("NOWHERE", raising=False)
    file = config(
        tmp_path,
        shop={
            "type": "http",
            "url": "${NOWHERE:-https://shop.example}/mcp",
            "headers": {"Authorization": "Bearer ${SHOP_TOKEN}"},
        },
        files={
            "command": "npx",
            "args": ["files", "${env:SHOP_TOKEN}"],
            "env": {"TOKEN": "${SHOP_TOKEN}", "COST": "$5"},
        },
        old={"command": "old", "disabled": True},
    )
    assert read_config(file) == {
        "shop": Target((), "https://shop.example/mcp", {}, {"Authorization": "Bearer s3cret"}),
        "files": Target(("npx", "files", "s3cret"), "", {"TOKEN": "s3cret", "COST": "$5"}),
    }


@pytest.mark.parametrize(
    "server",
    [
        {"url": "https://x.example/mcp", "headers": {"Authorization": "${input:token}"}},
        {"command": "npx", "args": ["${NOWHERE}"]},
        {"command": "npx", "args": ["${workspaceFolder:x}"]},
        {"type": "sse", "url": "https://x.example/sse"},
        {"command": "npx", "disabled": True},
        {"command": "npx", "url": "https://x.example/mcp"},
    ],
)
def test_what_nobody_here_knows_is_refused(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(WrongConfig, match=r"mcp\.json"):
        read_config(config(tmp_path, one=server))


def test_a_prompt_that_could_be_of_two_servers_is_nobodys() -> None:
    client: Any = None
    servers = [Upstream("a", client), Upstream("a__b", client)]
    assert behind_prompt(servers, "a__greet") == (servers[0], "greet")
    with pytest.raises(LookupError):
        behind_prompt(servers, "a__b__greet")
