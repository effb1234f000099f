"""Virtual environments under bench/.venvs, made the first time they are needed."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from bench.peers import Peer

ROOT = Path(__file__).parents[2]
VENVS = ROOT / "bench" / ".venvs"


class NotInstalled(Exception):
    """Why a peer cannot be had."""


def python_of(peer: Peer) -> Path:
    """The interpreter of the peer's environment. Raises NotInstalled with what pip said."""
    home = VENVS / f"{peer.name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = home / "bin" / "python"
    stamp = home / ".installed"
    if not stamp.exists():
        venv.create(home, with_pip=True, clear=True)
        command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", *peer.pip, peer.distribution]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        except subprocess.CalledProcessError as error:
            raise NotInstalled(f"pip: {_last_line(error.stderr)}") from error
        except subprocess.TimeoutExpired as error:
            raise NotInstalled("pip took longer than ten minutes") from error
        stamp.touch()
    return python


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("ERROR")] or text.splitlines()
    return lines[-1] if lines else "failed"
