"""`mcp pin` and `mcp diff` of a server that does not say what tools it has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.every_command import SERVER, TOOLS

# What a server does instead of listing its tools.
INSTEAD = {
    "it ends": SERVER.replace(f"said = {TOOLS}", "break"),
    "it refuses": SERVER.replace(f"said = {TOOLS}", "said = None"),
    "it says something else": SERVER.replace(TOOLS, '{"tools": [{"name": 1}]}'),
    "it goes on and on": SERVER.replace(TOOLS, f'{{**{TOOLS}, "nextCursor": "x"}}'),
}


@pytest.mark.parametrize("how", INSTEAD)
def test_that_is_an_error_which_names_it_and_nothing_is_written(cli: Cli, tmp_path: Path, how: str) -> None:
    assert INSTEAD[how] != SERVER
    server, pins = tmp_path / "s.py", tmp_path / "pins.json"
    server.write_text(INSTEAD[how], encoding="utf-8")
    behind = ("--", sys.executable, "-S", server)
    told = f"error: the server `{sys.executable}` does not say what tools it has\n"
    assert (cli("mcp", "pin", "--pins", pins, *behind), cli.err) == (1, told)
    assert not pins.exists()
    pins.write_text('{"version": 1, "tools": {}}', encoding="utf-8")
    assert (cli("mcp", "diff", "--pins", pins, *behind), cli.out, cli.err) == (1, "", told)


def test_of_several_servers_all_are_named(cli: Cli, tmp_path: Path) -> None:
    names = ("good", "bad")
    for name, text in zip(names, (SERVER, INSTEAD["it refuses"]), strict=True):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    listed = ", ".join(
        f'"{name}": {{"command": "{sys.executable}", "args": ["-S", "{tmp_path}/{name}.py"]}}' for name in names
    )
    config = tmp_path / "mcp.json"
    config.write_text(f'{{"mcpServers": {{{listed}}}}}', encoding="utf-8")
    assert cli("mcp", "pin", "--pins", tmp_path / "pins.json", "--config", config) == 1
    assert cli.err == "error: one of the servers `good`, `bad` does not say what tools it has\n"
