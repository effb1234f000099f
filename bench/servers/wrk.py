"""The load generator: wrk, with a script that sends one body after the other."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers.process import pinned

SCRIPT = Path(__file__).with_name("wrk.lua")
MISSING = "wrk is not installed (Debian and Ubuntu: apt-get install wrk)"


@dataclass(frozen=True, slots=True)
class Load:
    """Requests per second; the latency of one in nanoseconds; how many there were."""

    rate: float
    p50: float
    p99: float
    count: int = 0


def available() -> bool:
    return shutil.which("wrk") is not None


def write_bodies(file: Path, bodies: Iterable[Any]) -> Path:
    file.write_text("".join(json.dumps(body) + "\n" for body in bodies), encoding="utf-8")
    return file


def run(port: int, path: str, bodies: Path, connections: int, seconds: int, authorization: str = "") -> Load:
    """Raises RuntimeError when any request fails."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT), f"http://127.0.0.1:{port}{path}"]
    words = [str(bodies), authorization] if authorization else [str(bodies)]
    done = subprocess.run([*pinned(-1), *command, "--", *words], capture_output=True, text=True, timeout=seconds + 60)
    if done.returncode:
        raise RuntimeError(f"wrk: {done.stderr.strip()[:200]}")
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if answer["errors"]:
        raise RuntimeError(f"{answer['errors']} of {answer['requests']} requests failed")
    rate = answer["requests"] / answer["duration_us"] * 1e6
    return Load(rate, answer["p50_us"] * 1000, answer["p99_us"] * 1000, answer["requests"])
