"""W2: W1, and N rules that cannot apply, in three shapes. The cost should not follow N."""

from __future__ import annotations

from bench.measure import Subject, interleave
from bench.options import Options
from bench.peers.client import Peers
from bench.results import Results, rows
from bench.workloads import documents, loops
from policyengine import Engine

NAME = "w2"
COUNTS = (0, 10, 100, 1_000, 10_000)


def counts(options: Options) -> tuple[int, ...]:
    return (0, 10, 100) if options.quick else COUNTS


def case(shape: documents.Shape, irrelevant: int) -> str:
    return f"{shape} N={irrelevant}"


def alone(irrelevant: int) -> str:
    """The name of the engine with so many rules, in the case that sets it beside the engine with none."""
    return f"engine N={irrelevant}"


def run(options: Options) -> Results:
    results = Results()
    for shape in documents.SHAPES:
        engines = {n: Engine.from_text(documents.policy(_variant(shape), shape, n)) for n in counts(options)}
        results.add(_growth(shape, engines, options))
        for irrelevant, engine in engines.items():
            results.add(_case(shape, irrelevant, engine, options))
    return results


def _variant(shape: documents.Shape) -> documents.Variant:
    """Where rules test groups, principals are in some."""
    return "group" if shape == "group" else "attribute"


def _growth(shape: documents.Shape, engines: dict[int, Engine], options: Options) -> Results:
    """Every N in turn, so that their ratio to N = 0 is of neighbours in time."""
    requests = documents.requests(options.seed, options.requests)
    for irrelevant, engine in engines.items():
        expected = [documents.FLOORS[_variant(shape)](*request) for request in requests]
        loops.same(alone(irrelevant), loops.decisions(engine, requests), expected)
    subjects = [loops.engine(engine, requests, alone(irrelevant)) for irrelevant, engine in engines.items()]
    passes = interleave(subjects, options.rounds, options.seconds)
    return Results(rows(NAME, f"{shape} growth", passes, alone(0)))


def _case(shape: documents.Shape, irrelevant: int, engine: Engine, options: Options) -> Results:
    variant = _variant(shape)
    requests = documents.requests(options.seed, options.requests)
    floor = documents.FLOORS[variant]
    expected = [floor(principal, document) for principal, document in requests]
    subjects: list[Subject] = [loops.floor(floor, requests), loops.engine(engine, requests)]
    workload = {
        "kind": "documents",
        "variant": variant,
        "shape": shape,
        "irrelevant": irrelevant,
        "requests": requests,
    }
    named = case(shape, irrelevant)
    with Peers(NAME, named, options) as peers:
        subjects += peers.start(workload, expected)
        passes = interleave(subjects, options.rounds, options.seconds / 2)
        return Results(rows(NAME, named, passes, loops.FLOOR), peers.absent, peers.versions)
