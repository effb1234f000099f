"""W3: one principal, many documents: which of them may she see?"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from bench.measure import Subject, Whole, interleave
from bench.options import Options
from bench.results import Results, rows
from bench.workloads import documents, loops
from policyengine import Engine

NAME = "w3"
PRINCIPAL: documents.Entity = {
    "type": "User",
    "id": "u7",
    "tenant": "t1",
    "clearance": 3,
    "groups": ["eng"],
    "parents": [{"type": "Group", "id": "eng"}],
}
PREDICATE = "engine, specialised"

Documents = Sequence[documents.Entity]


def counts(options: Options) -> tuple[int, ...]:
    return (10_000,) if options.quick else (10_000, 1_000_000)


def run(options: Options) -> Results:
    results = Results()
    engine = Engine.from_text(documents.policy("attribute"))
    for count in counts(options):
        results.add(_case(engine, count, options))
    return results


def _case(engine: Engine, count: int, options: Options) -> Results:
    rng = random.Random(options.seed)
    found = [documents.document(rng, number) for number in range(count)]
    ways: dict[str, Callable[[], Documents]] = {
        loops.FLOOR: lambda: by_hand(PRINCIPAL, found),
        "engine, decide_many": lambda: by_decide_many(engine, PRINCIPAL, found),
    }
    matches = engine.filter(principal=PRINCIPAL, action="retrieve", resource_type="Document").matches
    ways[PREDICATE] = lambda: [document for document in found if matches(document)]
    expected = by_hand(PRINCIPAL, found)
    for name, way in ways.items():
        if list(way()) != expected:
            raise AssertionError(f"{name}: other documents than by hand")
    subjects: list[Subject] = [Whole(name, count, way) for name, way in ways.items()]
    rounds = min(options.rounds, max(3, 2_000_000 // count))
    passes = interleave(subjects, rounds, options.seconds * 2)
    return Results(rows(NAME, f"{count:,} documents", passes, loops.FLOOR))


def by_hand(principal: documents.Entity, found: Documents) -> Documents:
    tenant, clearance, name = principal["tenant"], principal["clearance"], principal["id"]
    legal = "legal" in principal["groups"]
    return [
        document
        for document in found
        if document["tenant"] == tenant
        and (legal or "legal_hold" not in document["labels"])
        and (document["classification"] <= clearance or document["owner"] == name)
    ]


def by_decide_many(engine: Engine, principal: documents.Entity, found: Documents) -> Documents:
    decided = engine.decide_many({"principal": principal, "action": "retrieve", "resource": one} for one in found)
    return [document for document, decision in zip(found, decided, strict=True) if decision.allowed]
