"""`policyengine` from a process that has already imported it, for tests that run many commands in a shell.

Most of a short command is the import of the package. Here one process imports it, and each command is a fork of that
process: with the words, directory, environment and streams of whoever called, and a status of its own. What Python
reads as it starts (`PYTHON*` variables, streams that are closed) is that of the first process, so tests about the start
of a process run the installed command.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import POLICYENGINE, ROOT

# What a shell finds as `policyengine`. It imports next to nothing. `serve` ends when it is told to, by a signal that
# would not reach a fork.
COMMAND = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] == ["serve"]:
    os.execv({installed!r}, [{installed!r}, *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as warm:
    warm.connect({address!r})
    socket.send_fds(warm, [b"."], [0, 1, 2])
    warm.sendall(json.dumps([["policyengine", *sys.argv[1:]], os.getcwd(), dict(os.environ)]).encode())
    warm.shutdown(socket.SHUT_WR)
    status = warm.recv(1)
sys.exit(status[0] if status else "the command ended without a status")
"""


@contextmanager
def warm_commands(directory: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """A directory with the command, for a PATH. The process behind it ends with the block."""
    address, command = directory / "socket", directory / "bin" / "policyengine"
    command.parent.mkdir()
    values = {"python": sys.executable, "installed": str(POLICYENGINE), "address": str(address)}
    command.write_text(COMMAND.format(**values), encoding="utf-8")
    command.chmod(0o755)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.warm_server", str(address)],
        cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield command.parent
        finally:
            process.terminate()
