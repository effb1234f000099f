"""Hostile: what ordinary requests wait for while one caller sends the dearest requests that there are.

One process serves on one core, and hostile clients run on the other, each kind for a few seconds; beside them one
connection asks a plain question every few milliseconds. The figure is the 99th percentile of what that one waits, in
milliseconds; `to` is what it waits with nobody beside it.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.measure import percentile
from bench.options import Options
from bench.peers.environment import ROOT
from bench.results import Absent, Results, Row
from bench.servers import Server
from bench.servers.process import Running, pinned
from bench.workloads import hostile_requests
from bench.workloads.hostile_requests import ASKED, EVALUATION, KINDS

NAME = "hostile"
ALONE = "nobody"
# Seconds between two plain questions, in which a hostile client has its turn.
PAUSE = 0.004
CLIENTS = 2
# What hostile requests may add to the wait of others, in milliseconds.
MOST_MS = 50.0


def case(kind: str) -> str:
    return f"beside: {kind}"


def run(options: Options) -> Results:
    results = Results()
    with tempfile.TemporaryDirectory(prefix="bench-hostile-") as directory:
        home = Path(directory)
        hostile_requests.write(home)
        try:
            with Running(SERVER, home) as running:
                running.wait()
                _measure(running.port, home, 2.0 if options.quick else 5.0, results)
        except RuntimeError as error:
            results.absent.append(Absent(NAME, "all", "engine", str(error)))
    return results


def _measure(port: int, home: Path, seconds: float, results: Results) -> None:
    _waits(port, 1.0)
    alone = _waits(port, seconds)
    base = percentile(alone, 0.99)
    results.rows.append(_row(ALONE, alone, base))
    for kind in KINDS:
        command = [*pinned(-1), sys.executable, "-m", "bench.workloads.hostile_child", str(port), kind]
        hostile = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(CLIENTS)]
        try:
            for each in hostile:
                assert each.stdout is not None
                each.stdout.readline()
            results.rows.append(_row(case(kind), _waits(port, seconds), base))
        except (OSError, http.client.HTTPException, RuntimeError) as error:
            results.absent.append(Absent(NAME, case(kind), "engine", f"{type(error).__name__}: {error}"))
        finally:
            for each in hostile:
                each.kill()
                each.wait()
        _settled(port)


def _row(case_: str, waits: list[int], base: float) -> Row:
    p50, p99 = percentile(waits, 0.5), percentile(waits, 0.99)
    return Row(NAME, case_, "engine", p99 / 1e6, "ms", p99 / base, ALONE, p50, p99)


def _waits(port: int, seconds: float) -> list[int]:
    """What each of many plain questions waits, in nanoseconds, sorted."""
    body = json.dumps(ASKED)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    found: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end or not found:
        start = time.perf_counter_ns()
        connection.request("POST", EVALUATION, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        found.append(time.perf_counter_ns() - start)
        if response.status != 200 or json.loads(answer)["decision"] is not True:
            raise RuntimeError(f"{response.status} {answer[:200]!r}")
        time.sleep(PAUSE)
    connection.close()
    return sorted(found)


def _settled(port: int) -> None:
    """Until what was begun for the last kind is done."""
    for _ in range(60):
        if percentile(_waits(port, 0.2), 0.99) < 20e6:
            return


def _command(home: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "policyengine.cli", "serve", str(home / "policies"), "--no-reload", "--quiet"]
    return [*command, "--insecure", "--entities", str(home / "entities.json"), "--port", str(port)]


SERVER = Server("engine", _command, "/readyz", EVALUATION, lambda asked: asked)
