"""Overload: how late those are that are answered, at three times what one process can answer.

Requests come at random, at 0.8 times the capacity and at three times, from another core. An evaluation takes some
milliseconds, so that a bench in Python can send three times as many. What happens in the beginning, until the service
knows, is counted. The service is told to refuse early, with `limits.wait` of 25 ms.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from bench.options import Options
from bench.peers.environment import ROOT
from bench.results import Absent, Results, Row
from bench.servers import Server, bodies, wrk
from bench.servers.process import Running, pinned

NAME = "overload"
CASE = "one process, an evaluation of some milliseconds"
USUAL, MUCH = 0.8, 3.0
RATIO = f"p99 of what is answered, {MUCH:g} x capacity / {USUAL:g} x"
REFUSED, DONE = "requests that are refused", "what is answered over the capacity"
LAG = "p99 of how late this bench was to send, at worst"
PATH = "/access/v1/evaluation"
MANY = 240
POLICY = """module heavy
use ai
permit none_of_them: retrieve on Document for User
  when all label in document.labels: all role in principal.roles: label != role
"""


def body() -> bytes:
    subject = {"type": "User", "id": "u", "properties": {"roles": [f"r{number}" for number in range(MANY)]}}
    labels = {"labels": [f"l{number}" for number in range(MANY)]}
    resource = {"type": "Document", "id": "d", "properties": labels}
    return json.dumps({"subject": subject, "action": {"name": "retrieve"}, "resource": resource}).encode()


def run(options: Options) -> Results:
    if not wrk.available():
        return Results(absent=[Absent(NAME, CASE, "all", wrk.MISSING)])
    rounds, seconds = (1, 3) if options.quick else (5, 6)
    late: dict[float, list[float]] = {USUAL: [], MUCH: []}
    refused, done, lag = [], [], 0.0
    with tempfile.TemporaryDirectory(prefix="bench-overload-") as directory:
        home = Path(directory)
        (home / "body.json").write_bytes(body() + b"\n")
        with Running(Server(NAME, _command, "/healthz", PATH, bodies.authzen), home) as running:
            running.wait()
            for number in range(rounds):
                capacity = wrk.run(running.port, PATH, home / "body.json", 4, 2).rate
                for load in (USUAL, MUCH):
                    found = _arrivals(running.port, home, load * capacity, seconds, number)
                    if found["others"] or found["p99"] is None:
                        return Results(absent=[Absent(NAME, CASE, "all", f"answered {found['others']}")])
                    late[load].append(found["p99"])
                    lag = max(lag, found["lag"])
                refused.append(found["refused"] / found["sent"])
                done.append(found["answered"] / found["seconds"] / capacity)
    over = median(much / usual for usual, much in zip(late[USUAL], late[MUCH], strict=True))
    rows = [Row(NAME, CASE, f"p99 at {load:g} x capacity", median(found) * 1000, "ms") for load, found in late.items()]
    rows += [Row(NAME, CASE, RATIO, over, "×"), Row(NAME, CASE, REFUSED, median(refused), "of one")]
    rows += [Row(NAME, CASE, DONE, median(done), "×"), Row(NAME, CASE, LAG, lag * 1000, "ms")]
    return Results(rows=rows)


def _arrivals(port: int, home: Path, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    words = [str(port), PATH, str(home / "body.json"), str(rate), str(seconds), str(seed)]
    command = [*pinned(-1), sys.executable, "-m", "bench.servers.arrivals", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _command(home: Path, port: int) -> list[str]:
    policy = home / "heavy.pol"
    policy.write_text(POLICY, encoding="utf-8")
    start = [sys.executable, "-m", "policyengine.cli", "serve", str(policy), "--no-reload", "--quiet", "--insecure"]
    config = home / "service.toml"
    config.write_text("[limits]\nwait = 0.025\n", encoding="utf-8")
    return [*start, "--config", str(config), "--port", str(port)]
