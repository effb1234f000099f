"""HTTP: W1 (attribute variant) served by one process on one core, and asked by wrk from another.

All servers run, and take turns in being asked. One request is one evaluation, or 50 in a batch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.options import Options
from bench.peers.environment import NotInstalled
from bench.results import Absent, Results, Row
from bench.servers import FLOOR, OURS, PEERS, wrk
from bench.servers.process import Running
from bench.servers.wrk import Load
from bench.workloads import documents

NAME = "http"
BATCH = 50


def connections(options: Options) -> tuple[int, ...]:
    return (16,) if options.quick else (1, 16, 64)


def case(kind: str, count: int) -> str:
    return f"{kind}, {count} connection{'s' * (count > 1)}"


SINGLE, BATCHES = "single", f"batch of {BATCH}"


def run(options: Options) -> Results:
    if not wrk.available():
        return Results(absent=[Absent(NAME, "all", "all", wrk.MISSING)])
    results = Results()
    requests = documents.requests(options.seed, options.requests)
    batches = [requests[i : i + BATCH] for i in range(0, len(requests), BATCH)]
    expected = [documents.floor_attribute(*request) for request in requests]
    with tempfile.TemporaryDirectory(prefix="bench-http-") as directory, ExitStack() as stack:
        home = Path(directory)
        running = [one for one in _started(home, options, stack, results) if _agrees(one, requests, expected, results)]
        singles = {one.server.name: _bodies(home, one, "single", one.server.one, requests) for one in running}
        batching = [one for one in running if one.server.many is not None]
        many = {one.server.name: _bodies(home, one, "batch", one.server.many, batches) for one in batching}
        for count in connections(options):
            results.add(_case(SINGLE, 1, count, running, singles, options))
        for count in connections(options):
            results.add(_case(BATCHES, BATCH, count, batching, many, options))
    return results


def _started(home: Path, options: Options, stack: ExitStack, results: Results) -> list[Running]:
    started = []
    for server in (*OURS, *(PEERS if options.peers else ())):
        try:
            if server.binary is not None:
                server.binary.install()
            running = stack.enter_context(Running(server, home))
            running.wait()
            started.append(running)
            if server.binary is not None:
                results.versions[server.name] = server.binary.package
        except (NotInstalled, RuntimeError) as error:
            results.absent.append(Absent(NAME, "all", server.name, str(error)))
    return started


def _agrees(one: Running, requests: Sequence[Any], expected: list[bool], results: Results) -> bool:
    """Whether a server that decides, decides every request as expected, alone and in batches."""
    server = one.server
    if server.read is None:
        return True
    try:
        found = [server.read(answer)[0] for answer in one.post(server.single, map(server.one, requests))]
        if found != expected:
            raise RuntimeError("decides otherwise")
        if server.many is not None:
            [answer] = one.post(server.batch, [server.many(requests[:BATCH])])
            if server.read(answer) != expected[:BATCH]:
                raise RuntimeError("decides otherwise in a batch")
    except RuntimeError as error:
        results.absent.append(Absent(NAME, "all", server.name, str(error)))
        return False
    return True


def _bodies(home: Path, one: Running, kind: str, make: Callable[[Any], Any] | None, asked: Sequence[Any]) -> Path:
    assert make is not None
    return wrk.write_bodies(home / f"{one.server.name}-{kind}.jsonl", map(make, asked))


def _case(
    kind: str, each: int, count: int, running: Sequence[Running], bodies: dict[str, Path], options: Options
) -> Results:
    rounds, seconds = (1, 1) if options.quick else (3, 2)
    loads: dict[str, list[Load]] = {one.server.name: [] for one in running}
    results = Results()
    for _ in range(rounds):
        for one in running:
            path = one.server.single if each == 1 else one.server.batch
            try:
                load = wrk.run(one.port, path, bodies[one.server.name], count, seconds)
                loads[one.server.name].append(load)
            except RuntimeError as error:
                results.absent.append(Absent(NAME, case(kind, count), one.server.name, str(error)))
    unit = "requests/s" if each == 1 else "decisions/s"
    best = {name: max(load.rate for load in found) * each for name, found in loads.items() if found}
    for name, rate in best.items():
        p50, p99 = min(load.p50 for load in loads[name]), min(load.p99 for load in loads[name])
        ratio = rate / best[FLOOR.name] if FLOOR.name in best else None
        results.rows.append(Row(NAME, case(kind, count), name, rate, unit, ratio, FLOOR.name, p50, p99))
    return results
