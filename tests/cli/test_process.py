"""The command as a process: pipes, terminals, colours, completion, encodings."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from policyengine.compile.native import NATIVE
from policyengine.version import VERSION
from tests.cli.conftest import POLICIES, Cli, refund
from tests.cli.running import run
from tests.support.paths import POLICYENGINE

REFUND = json.dumps(refund(40))


def test_version() -> None:
    how = "C" if NATIVE is not None else "Python"
    assert run("--version").stdout == f"policyengine {VERSION} (policyengine-ai, checks in {how})\n"


def test_the_other_package_of_the_same_name_is_noticed(tmp_path: Path) -> None:
    installed = tmp_path / "policyengine-6.11.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: policyengine\nVersion: 6.11.1\n")
    (installed / "RECORD").write_text("policyengine/__init__.py,,\n")
    done = run("--version", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0
    assert done.stderr.startswith("warning: another package named `policyengine` (6.11.1) is installed over this one")


def test_what_is_logged_is_no_part_of_the_result() -> None:
    """A store that cannot be asked is logged by a thread of its own, and structlog writes to standard output."""
    code = (
        "from policyengine.cli import app\nfrom policyengine.state.known_blocks import log\n"
        "try:\n    app(['--version'])\nfinally:\n    log.warning('the store is away')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith(f"policyengine {VERSION}")
    assert "away" not in done.stdout
    assert "the store is away" in done.stderr


def test_help_names_every_command() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("check", "fmt", "test", "decide", "explain", "serve", "init", "schema"):
        assert name in done.stdout
    assert run("schema", "--help").returncode == 0


@pytest.mark.parametrize("words", [(), ("nonsense",), ("check", "--nonsense"), ("schema",)])
def test_wrong_usage_is_2(words: tuple[str, ...], warm: Path) -> None:
    assert run(*words, warm=warm).returncode == 2


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "policyengine.cli", "--version"], capture_output=True, check=True)
    assert done.stdout.startswith(b"policyengine ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    done = run(env={"_POLICYENGINE_COMPLETE": f"source_{shell}"})
    assert "policyengine" in done.stdout


def test_a_command_is_completed() -> None:
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


def test_no_colour_in_a_pipe(policies: Path, warm: Path) -> None:
    assert "\x1b" not in run("test", policies, warm=warm).stdout
    assert "\x1b" not in run("check", "-", warm=warm, stdin="permit").stdout


@pytest.mark.parametrize(("environment", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colour_on_a_terminal_unless_told_otherwise(policies: Path, environment: dict[str, str], colour: bool) -> None:
    path = policies.parent / "bad.pol"
    path.write_text("permit\n", encoding="utf-8")
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLORTERM")}
    commands = (("check", path), ("test", policies), ("check", "--explain", "POL204"))
    # What is written to a terminal is told no colours in one place for all commands.
    for command in commands if colour else commands[:1]:
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


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("decide . -e a.json -e b.json -r r.json", "`--entities` is given twice"),
        ("decide . --entities a.json -e a.json -r r.json", "`--entities` is given twice"),
        ("decide . -r a.json -r b.json", "`--request` is given twice"),
        ("explain . -r a.json --request b.json", "`--request` is given twice"),
        ("filter . -p {} -p {} -a retrieve -t Document", "`--principal` is given twice"),
        ("serve . --port 1 --port 2", "`--port` is given twice"),
        ("check . --format json --format concise", "`--format` is given twice"),
        ("check . --cache --no-cache", "`--cache` is given twice"),
        ("schema import a.json --module a --module b", "`--module` is given twice"),
        ("test . -k one -k two", "`-k` is given twice"),
    ],
)
def test_an_option_that_takes_one_value_is_not_given_twice(cli: Cli, words: str, message: str) -> None:
    assert cli(*words.split()) == 2
    assert message in cli.err


def test_flags_and_lists_may_be_given_twice(policies: Path, cli: Cli) -> None:
    assert cli("check", policies, "-q", "-q") == 0
    assert cli("decide", policies, "-r", "-", "--fulfils", "redact", "--fulfils", "approval", stdin="{}") == 2


@pytest.mark.parametrize(
    "words",
    [
        ("check", ""), ("check", "policies", ""), ("fmt", ""), ("test", ""), ("serve", ""), ("init", ""),
        ("decide", "", "-r", "r.json"), ("decide", ".", "-r", ""), ("decide", ".", "--entities", "", "-r", "r.json"),
        ("explain", "", "-r", "r.json"), ("schema", "show", ""), ("schema", "import", ""),
        ("schema", "import", "t.json", "--out", ""), ("test", ".", "--junit", ""), ("serve", ".", "--uds", ""),
        ("filter", "", "-p", "{}", "-a", "a", "-t", "T"),
    ],
)  # fmt: skip
def test_an_empty_path_is_not_the_current_directory(
    words: tuple[str, ...], policies: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(policies.parent)
    assert cli(*words) == 2
    assert "is empty" in cli.err
