"""The installed command in a process of its own, as a shell would run it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import SCRIPTS

TIMEOUT = 60


def run(
    *words: str | Path,
    stdin: str | bytes = b"",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    warm: Path = SCRIPTS,
) -> subprocess.CompletedProcess[str]:
    """Run `policyengine` and wait; whatever it prints is text, and no part of it may be a traceback. `warm` is where a
    command is that starts at once, for what is not about the start of a process."""
    done = subprocess.run(
        [str(warm / "policyengine"), *map(str, words)],
        input=stdin if isinstance(stdin, bytes) else stdin.encode(),
        capture_output=True,
        cwd=cwd,
        env={**_environment(), **(env or {})},
        timeout=TIMEOUT,
        check=False,
    )
    out, err = done.stdout.decode(errors="surrogateescape"), done.stderr.decode(errors="surrogateescape")
    assert "Traceback" not in err, err
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("POLICYENGINE_") and k != "FORCE_COLOR"}
    return {**kept, "COLUMNS": "100", "TERM": "dumb", "POLICYENGINE_CACHE_DIR": ""}
