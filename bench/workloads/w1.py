"""W1: four rules, 1,000 mixed requests, one decision at a time, beside hand-written Python and every peer."""

from __future__ import annotations

from bench.measure import Subject, interleave
from bench.options import Options
from bench.peers.client import Peers
from bench.results import Results, rows
from bench.workloads import documents, loops
from policyengine import Engine

NAME = "w1"


def run(options: Options) -> Results:
    results = Results()
    for variant in documents.VARIANTS:
        results.add(_case(variant, options))
    return results


def _case(variant: documents.Variant, options: Options) -> Results:
    requests = documents.requests(options.seed, options.requests)
    floor = documents.FLOORS[variant]
    expected = [floor(principal, document) for principal, document in requests]
    engine = Engine.from_text(documents.policy(variant))
    loops.same(loops.ENGINE, loops.decisions(engine, requests), expected)
    subjects: list[Subject] = [
        loops.floor(floor, requests),
        loops.engine(engine, requests),
        loops.engine_many(engine, requests),
        loops.engine(loops.in_python(engine), requests, "engine, all in Python"),
    ]
    workload = {"kind": "documents", "variant": variant, "shape": "tool", "irrelevant": 0, "requests": requests}
    with Peers(NAME, variant, options) as peers:
        subjects += peers.start(workload, expected)
        passes = interleave(subjects, options.rounds, options.seconds)
        return Results(rows(NAME, variant, passes, loops.FLOOR), peers.absent, peers.versions)
