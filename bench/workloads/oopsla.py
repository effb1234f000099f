"""OOPSLA: three applications with entity graphs of N entities of each type, beside cedarpy with handles.

The graph is known beforehand on both sides (the engine's entity source, cedarpy's entities handle), so a request is
three names.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Local, Subject, interleave
from bench.oopsla.gdrive import APPLICATION as GDRIVE
from bench.oopsla.github import APPLICATION as GITHUB
from bench.oopsla.graph import Application, Reference
from bench.oopsla.tinytodo import APPLICATION as TINYTODO
from bench.options import Options
from bench.peers.client import Peers
from bench.results import Results, rows
from bench.workloads import loops
from policyengine import Engine

NAME = "oopsla"
APPLICATIONS = (GDRIVE, GITHUB, TINYTODO)
GRAPHS = 4
REQUESTS_PER_GRAPH = 250

# The number of a graph, and who asks for what about what.
Request = tuple[int, Reference, str, Reference]


def sizes(options: Options) -> tuple[int, ...]:
    return (5, 50) if options.quick else (5, 10, 20, 30, 40, 50)


def case(application: Application, size: int) -> str:
    return f"{application.name} N={size}"


def run(options: Options) -> Results:
    results = Results()
    for application in APPLICATIONS:
        for size in sizes(options):
            results.add(_case(application, size, options))
    return results


def graphs(application: Application, size: int, seed: int) -> tuple[list[list[Any]], list[Request]]:
    rng = random.Random(f"{application.name} {size} {seed}")
    found = [application.entities(rng, size) for _ in range(GRAPHS)]
    requests = [
        (number, *request)
        for number, graph in enumerate(found)
        for request in application.requests(rng, graph, REQUESTS_PER_GRAPH)
    ]
    rng.shuffle(requests)
    return found, requests


def engines(application: Application, found: Sequence[Any]) -> list[Engine]:
    return [Engine.from_text(application.policy, entities=graph) for graph in found]


def _case(application: Application, size: int, options: Options) -> Results:
    found, requests = graphs(application, size, options.seed)
    made = engines(application, found)
    decide = [engine.decide for engine in made]
    asked = [(decide[number], principal, action, resource) for number, principal, action, resource in requests]
    expected = [one(principal=p, action=a, resource=r).allowed for one, p, a, r in asked]
    workload = {"kind": "applications", "cedar": application.cedar, "graphs": found, "requests": requests}
    named = case(application, size)
    with Peers(NAME, named, options, only=("cedarpy",)) as peers:
        subjects: list[Subject] = [_engine(asked), *peers.start(workload, expected)]
        passes = interleave(subjects, options.rounds, options.seconds)
        return Results(rows(NAME, named, passes, loops.ENGINE), peers.absent, peers.versions)


def _engine(asked: Sequence[tuple[Callable[..., Any], Reference, str, Reference]]) -> Local:
    def loop(some: Sequence[Any]) -> None:
        for decide, principal, action, resource in some:
            decide(principal=principal, action=action, resource=resource)

    def each(some: Sequence[Any]) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        for decide, principal, action, resource in some:
            start = clock()
            decide(principal=principal, action=action, resource=resource)
            times.append(clock() - start)
        return times

    return Local(loops.ENGINE, asked, loop, each)
