"""What it takes to specialise policies to a principal: 10 rules and 10,000, asked for the first time and again.

The rules beyond the ten never apply to the caller (groups it is not in) or are about other documents (tenants).
"""

from __future__ import annotations

import random
from collections.abc import Callable

from bench.measure import Subject, Whole, interleave
from bench.options import Options
from bench.results import Results, Row
from bench.workloads import documents
from policyengine import Engine
from policyengine.filters import Filter

NAME = "residual"
AGAIN, FIRST = "a principal asked for again", "another principal each time"
CALLS = 50
_MORE = """
permit shared: retrieve on Document
  when contains_any(document.labels, principal.groups)

permit public: retrieve on Document
  when "public" in document.labels and document.tenant == principal.tenant

permit engineers: retrieve on Document
  when principal in Group::"eng" and document.classification <= 2

forbid drafts: retrieve on Document
  when "draft" in document.labels and document.owner != principal.id

forbid secret: retrieve on Document
  when document.classification > 4 and principal.clearance < 5

forbid personal: retrieve on Document
  when "pii" in document.labels unless principal in Group::"hr" or document.owner == principal.id
"""


def case(shape: str, rules: int) -> str:
    return f"{rules:,} rules, {shape}"


CASES: tuple[tuple[documents.Shape, int], ...] = (("group", 10), ("group", 10_000), ("tenant", 10_000))


def run(options: Options) -> Results:
    results = Results()
    for shape, count in CASES[:1] if options.quick else CASES:
        engine = Engine.from_text(documents.policy("group", shape, count - 10) + _MORE)
        callers = [principal for principal, _ in documents.requests(options.seed)]
        subjects: list[Subject] = [
            Whole(AGAIN, CALLS, _asking(engine, lambda first=callers[0]: first)),
            Whole(FIRST, CALLS, _asking(engine, _others(callers, options.seed))),
        ]
        passes = interleave(subjects, options.rounds, options.seconds)
        results.rows += [
            Row(NAME, case(shape, count), name, one.mean / 1000, "us/filter") for name, one in passes.items()
        ]
    return results


def _asking(engine: Engine, principal: Callable[..., documents.Entity]) -> Callable[[], Filter]:
    def ask() -> Filter:
        for _ in range(CALLS):
            found = engine.filter(principal=principal(), action="retrieve", resource_type="Document")
        return found

    return ask


def _others(callers: list[documents.Entity], seed: int) -> Callable[[], documents.Entity]:
    """Callers whose ids nobody had before."""
    rng = random.Random(seed)
    return lambda: {**rng.choice(callers), "id": f"new{rng.getrandbits(64)}"}
