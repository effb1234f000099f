"""Streams that are closed or full, and directories that cannot be entered: a line and a status, never a traceback."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.every_command import SERVER
from tests.files.unreachable import permissions_count
from tests.support.paths import POLICYENGINE, ROOT

SUPPORT = ROOT / "policies" / "support"
PRINTING = (
    "check {0}", "check --format json {0}", "check --explain POL204", "test {0}", "fmt --diff -", "schema show {0}",
    "decide {0} -r {0}/requests/refund.json", "--help", "--version", "check --help",
)  # fmt: skip


def shell(script: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    return done


@pytest.mark.parametrize("words", PRINTING)
def test_output_that_cannot_be_written_is_told(words: str, policies: Path, tmp_path: Path, warm: Path) -> None:
    request = tmp_path / "requests" / "refund.json"
    request.parent.mkdir()
    user, tool = '{"type": "User", "id": "a"}', '{"type": "Tool", "id": "t"}'
    request.write_text(f'{{"principal": {user}, "action": "call", "resource": {tool}}}')
    done = shell(f"echo 'permit  a: b on any' | {warm}/policyengine {words.format(tmp_path)} >/dev/full")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: cannot read or write: no space left on device"


@pytest.mark.parametrize("words", ["check -", "fmt -", f"decide {SUPPORT} -r -", "schema import -"])
def test_standard_input_that_is_closed_is_told(words: str) -> None:
    done = shell(f"{POLICYENGINE} {words} <&-")
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard input is closed\n")


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "2>/dev/full", "<&- 2>&-"])
def test_the_status_stays_whatever_is_closed(policies: Path, closed: str) -> None:
    assert shell(f"{POLICYENGINE} check {policies} {closed}").returncode == 0
    assert shell(f"{POLICYENGINE} check {policies}/nothing {closed}").returncode == 2


@pytest.mark.parametrize("closed", [">&-", "<&- >&-"])
def test_standard_output_that_is_closed_is_told_where_there_is_something_to_say(policies: Path, closed: str) -> None:
    done = shell(f"{POLICYENGINE} check {policies} {closed}")
    assert (done.returncode, done.stderr) == (1, "error: standard output is closed\n")
    assert shell(f"{POLICYENGINE} check {policies} {closed} 2>&-").returncode == 1
    assert shell(f"{POLICYENGINE} check -q {policies} {closed}").returncode == 0


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_an_event_loop_runs_whatever_is_closed(tmp_path: Path, closed: str) -> None:
    (tmp_path / "s.py").write_text(SERVER)
    assert (
        shell(f"{POLICYENGINE} mcp pin --pins {tmp_path}/p.json -- python3 -S {tmp_path}/s.py {closed}").returncode == 0
    )
    assert '"t": "sha256:' in (tmp_path / "p.json").read_text()


def test_a_text_that_nobody_reads_is_written_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.pol").write_text("use ai\npermit o: release on Output\n")
    (tmp_path / "t.txt").write_text("a text")
    request = tmp_path / "r.json"
    request.write_text(
        '{"principal": {"type": "User", "id": "a"}, "action": "release", "resource": {"type": "Output", "id": "o"}}'
    )
    done = shell(f"{POLICYENGINE} release {tmp_path}/a.pol -r {request} {tmp_path}/t.txt >&-")
    assert (done.returncode, done.stderr) == (1, "error: standard output is closed\n")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ("check {0}/shut/a.pol", 2, "error: cannot read {0}/shut/a.pol: permission denied"),
        ("check {0}", 1, "cannot read it: permission denied"),
        ("fmt {0}", 2, "error: cannot read {0}/shut/a.pol: permission denied"),
        (
            "decide {0}/open.pol -r {0}/shut/r.json",
            2,
            "error: --request: cannot read {0}/shut/r.json: permission denied",
        ),
        ("decide {0}/open.pol -e {0}/shut/e -r -", 2, "error: --entities: cannot read {0}/shut/e: permission denied"),
        ("schema import {0}/shut/t.json", 2, "error: cannot read {0}/shut/t.json: permission denied"),
        ("init {0}/shut/new", 1, "permission denied"),
        ("schema import {0}/tools.json --out {0}/shut/out.pol", 1, "permission denied"),
        ("test {0}/open.pol --junit {0}/shut/out.xml", 1, "permission denied"),
        (
            "mcp gateway --policies {0}/open.pol --principal {{}} --state sqlite:///{0}/shut/s.db -- /bin/false",
            1,
            "the state file cannot be used",
        ),
        ("serve {0}/open.pol --insecure --uds {0}/shut/x/socket", 2, "--uds: no such directory"),
    ],
)
def test_a_directory_that_cannot_be_entered_is_told(
    cli: Cli, tmp_path: Path, words: str, status: int, message: str
) -> None:
    (tmp_path / "shut").mkdir()
    (tmp_path / "shut" / "a.pol").write_text("module a")
    (tmp_path / "open.pol").write_text("module open")
    (tmp_path / "tools.json").write_text('{"tools": [{"name": "t", "inputSchema": {}}]}')
    (tmp_path / "shut").chmod(0o644)
    before = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    with permissions_count():
        found = cli(*words.format(tmp_path).split(), stdin="{}")
    assert message.format(tmp_path) in cli.out + cli.err
    assert found == status
    (tmp_path / "shut").chmod(0o755)
    # What is refused leaves nothing behind.
    assert {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"} == before
