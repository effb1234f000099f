"""Every command under faults of streams and files: a line and a status, never a traceback, and never status 0 for what
could not be said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer

from policyengine.cli import app
from tests.cli.every_command import COMMANDS
from tests.support.paths import ROOT

Outcomes = Callable[[str], dict[str, dict[str, Any]]]


def names(command: Any, before: str = "") -> Iterator[str]:
    for name, inner in command.commands.items():
        yield from names(inner, f"{before}{name} ") if hasattr(inner, "commands") else [before + name]


def test_every_command_is_tried() -> None:
    assert sorted(names(typer.main.get_command(app))) == sorted(COMMANDS)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcomes]:
    """What becomes of a command under each fault."""
    words = [sys.executable, "-m", "tests.cli.every_command", str(tmp_path_factory.mktemp("every"))]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POLICYENGINE_")}
    environment = {**kept, "POLICYENGINE_CACHE_DIR": "", "COLUMNS": "100", "TERM": "dumb"}
    with subprocess.Popen(
        words, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def asked(command: str) -> dict[str, dict[str, Any]]:
            print(command, file=process.stdin, flush=True)
            return {one["fault"]: one for one in json.loads(process.stdout.readline())}

        yield asked
        process.stdin.close()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_is_told(command: str, outcomes: Outcomes) -> None:
    found = outcomes(command)
    for one in found.values():
        assert "Traceback" not in one["err"], one
        assert one["status"] in (0, 1, 2, 3, 4), one
    plain = found.pop("nothing")
    says = bool(plain["out"])
    assert says or plain["err"], plain
    for name, one in found.items():
        if name == "a reader that has gone":
            # Whoever reads no more has what it wanted; a gateway's client has left.
            assert one["status"] != 0 or not says or command == "mcp gateway", one
        elif name == "full output, closed error":
            assert one["err"] == "", one
            assert one["status"] != 0 or not says, one
        elif one["status"] == 0:
            # A file that is known needs no list of its directory; what says nothing can do without an output.
            assert bool(one["out"]) == says if " without r" in name else not says, one
        elif one["status"] != plain["status"]:
            assert "error" in one["out"] + one["err"], one
