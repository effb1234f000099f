"""`policyengine` from a process that has already imported it, for tests that run many commands in a shell.

Most of a short command is the import of the package. Here one process imports it, and each command is a fork of that
process: with the words, directory, environment and streams of whoever called, and a status of its own. What Python
reads as it starts (`PYTHON*` variables, streams that are closed) is that of the first process, so tests about the start
of a process run the installed command. Beside it `script` runs a Python file in the same way: servers of MCP.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import POLICYENGINE, ROOT

# What a shell finds as `policyengine`, and as `script`. It imports next to nothing. `serve` ends when it is told to,
# by a signal that would not reach a fork.
COMMAND = """#!{python} -IS
import json, os, socket, sys
words = [*{first!r}, *sys.argv[1:]]
if words[:2] == ["policyengine", "serve"]:
    os.execv({installed!r}, [{installed!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as warm:
    warm.connect({address!r})
    socket.send_fds(warm, [b"."], [0, 1, 2])
    warm.sendall(json.dumps([words, os.getcwd(), dict(os.environ)]).encode())
    warm.shutdown(socket.SHUT_WR)
    status = warm.recv(1)
sys.exit(status[0] if status else "the command ended without a status")
"""


@contextmanager
def warm_commands(directory: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """A directory with the commands, for a PATH. The process behind them ends with the block."""
    address, commands = directory / "socket", directory / "bin"
    commands.mkdir()
    values = {"python": sys.executable, "installed": str(POLICYENGINE), "address": str(address)}
    for name, first in (("policyengine", ["policyengine"]), ("script", [])):
        command = commands / name
        command.write_text(COMMAND.format(first=first, **values), encoding="utf-8")
        command.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server", str(address)],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield commands
        finally:
            process.terminate()
