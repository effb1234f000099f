"""The command as a process: pipes, terminals, colours, completion, encodings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.cli.conftest import POLICIES
from tests.cli.running import run
from tests.support.paths import POLICYENGINE


def test_version() -> None:
    assert run("--version").stdout == f"policyengine {version('policyengine')}\n"


def test_help_names_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("check", "fmt", "test", "decide", "explain", "serve", "init", "schema"):
        assert name in done.stdout
        assert run(name, "--help").returncode == 0


@pytest.mark.parametrize("words", [(), ("nonsense",), ("check", "--nonsense"), ("schema",)])
def test_wrong_usage_is_2(words: tuple[str, ...]) -> None:
    assert run(*words).returncode == 2


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "policyengine.cli", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"policyengine ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    done = run(env={"_POLICYENGINE_COMPLETE": f"source_{shell}"})
    assert "policyengine" in done.stdout
    done = run(env={"_POLICYENGINE_COMPLETE": "complete_bash", "COMP_WORDS": "policyengine exp", "COMP_CWORD": "1"})
    assert done.stdout.split() == ["explain"]


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "long.pol"
    path.write_text(POLICIES + "# comment\n" * 50_000, encoding="utf-8")
    for command in (f"fmt - < {path}", f"schema show {path}", f"check {path}"):
        script = f"set -o pipefail; {POLICYENGINE} {command} | true"
        done = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr


def test_no_colour_in_a_pipe(policies: Path) -> None:
    assert "\x1b" not in run("test", policies).stdout
    assert "\x1b" not in run("check", "-", stdin="permit").stdout


@pytest.mark.parametrize(("environment", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal_unless_told_otherwise(policies: Path, environment: dict[str, str], colour: bool) -> None:
    path = policies.parent / "bad.pol"
    path.write_text("permit\n", encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    for command in (("check", path), ("test", policies), ("check", "--explain", "POL204")):
        printed = _on_terminal([str(w) for w in command], {**kept, "TERM": "xterm-256color", **environment})
        assert bool(re.search(r"\x1b\[[0-9;]*m", printed)) is colour, printed


def _on_terminal(words: list[str], env: dict[str, str]) -> str:
    """What the command prints when standard output is a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(POLICYENGINE), *words], stdout=theirs, stderr=theirs, stdin=theirs, env=env)
    os.close(theirs)
    found = b""
    try:
        while data := os.read(ours, 65536):
            found += data
    except OSError:
        pass  # the other side is closed
    process.wait(60)
    os.close(ours)
    return found.decode()


def test_a_terminal_without_unicode_gets_escapes(policies: Path) -> None:
    done = run("test", policies, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\\u2713 a small refund needs nobody" in done.stdout
