"""Revocation: how long a key that is revoked is still accepted, by any worker, while 1,000 requests come in a second.

A real service with two workers, asked over connections of which each worker has some. A key is revoked in the store, by
this process; what counts is the last request with it that was begun after that and answered, of all workers.
"""

from __future__ import annotations

import http.client
import json
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.options import Options
from bench.results import Absent, Results, Row
from bench.servers import Server, bodies
from bench.servers.credentials import new_key
from bench.servers.process import Running
from bench.servers.workers import children, worker_of
from bench.workloads import documents
from policyengine.callers import keys
from policyengine.settings.keys import opened
from policyengine.settings.model import KeySettings

NAME = "revocation"
RATE, WORKERS, CONNECTIONS = 1_000, 2, 16
CASE = f"{WORKERS} workers, {RATE:,} requests/s"
LAST, ASKED = "the last that was accepted, the worst of all", "requests that were sent"
PATH = "/access/v1/evaluation"


@dataclass
class Asking:
    """One connection, asked again and again. `accepted` are the times at which answered requests were begun."""

    connection: http.client.HTTPConnection
    body: bytes
    pause: float
    headers: dict[str, str] = field(default_factory=dict)
    accepted: list[float] = field(default_factory=list)
    refused: float | None = None
    sent: int = 0
    stop: bool = False

    def run(self) -> None:
        due = time.monotonic()
        while not self.stop:
            begun = time.monotonic()
            self.connection.request("POST", PATH, self.body, self.headers)
            answer = self.connection.getresponse()
            answer.read()
            self.sent += 1
            if answer.status == 200:
                self.accepted.append(begun)
            elif self.refused is None:
                self.refused = begun
            due = max(due + self.pause, begun)
            time.sleep(max(0.0, due - time.monotonic()))


def run(options: Options) -> Results:
    if sys.platform != "linux":
        return Results(absent=[Absent(NAME, CASE, "all", "which worker answers is only told on Linux")])
    rounds = 3 if options.quick else 10
    worst, sent, seconds = 0.0, 0, 0.0
    with tempfile.TemporaryDirectory(prefix="bench-revocation-") as directory, ExitStack() as stack:
        home = Path(directory)
        settings, _ = new_key(home, "decide")
        running = stack.enter_context(Running(_server(settings), home, core=None))
        running.wait()
        connections = spread(running.process.pid, running.port, CONNECTIONS)
        body = json.dumps(bodies.authzen(documents.requests(options.seed, 1)[0])).encode()
        for _ in range(rounds):
            took, count, lasted = _round(settings, connections, body)
            worst, sent, seconds = max(worst, took), sent + count, seconds + lasted
    rows = [Row(NAME, CASE, LAST, worst, "s"), Row(NAME, CASE, ASKED, sent / seconds, "requests/s")]
    return Results(rows=rows)


def _round(
    settings: KeySettings, connections: list[http.client.HTTPConnection], body: bytes
) -> tuple[float, int, float]:
    """How long a revoked key was accepted, how many requests were sent, and in which time."""
    store, hash_key = opened(settings)
    key, shown = keys.create("leaked", frozenset({"decide"}), hash_key, time.time())
    store.change(lambda _: key)
    time.sleep(1.0)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {shown.text}"}
    asking = [Asking(each, body, len(connections) / RATE, headers) for each in connections]
    threads = [threading.Thread(target=each.run) for each in asking]
    begun = time.monotonic()
    for each in threads:
        each.start()
    time.sleep(1.0)
    store.change(lambda known: keys.revoke(known[shown.id], time.time()))
    revoked = time.monotonic()
    while any(each.refused is None for each in asking) and time.monotonic() < revoked + 30:
        time.sleep(0.01)
    time.sleep(0.5)
    for one in asking:
        one.stop = True
    for each in threads:
        each.join()
    lasted = time.monotonic() - begun
    late = max(one.accepted[-1] - revoked if one.accepted else 0.0 for one in asking)
    return max(late, 0.0), sum(one.sent for one in asking), lasted


def spread(pid: int, port: int, count: int) -> list[http.client.HTTPConnection]:
    """Connections, the same number to each worker of a service. Raises RuntimeError if one takes none."""
    found: dict[int, list[http.client.HTTPConnection]] = {}
    deadline = time.monotonic() + 60
    while sum(min(len(each), count // WORKERS) for each in found.values()) < count:
        if time.monotonic() > deadline:
            raise RuntimeError("a worker takes no connection")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        worker = worker_of(connection, children(pid))
        kept = found.setdefault(worker or 0, [])
        if worker is not None and len(kept) < count // WORKERS:
            kept.append(connection)
        else:
            connection.close()
    return [each for kept in found.values() for each in kept]


def _server(settings: KeySettings) -> Server:
    def command(home: Path, port: int) -> list[str]:
        policy = home / "documents.pol"
        policy.write_text(documents.policy("attribute"), encoding="utf-8")
        start = [sys.executable, "-m", "policyengine.cli", "serve", str(policy), "--no-reload", "--quiet"]
        return [*start, "--keys", str(settings.store), "--workers", str(WORKERS), "--port", str(port)]

    return Server(NAME, command, "/healthz", PATH, bodies.authzen)
