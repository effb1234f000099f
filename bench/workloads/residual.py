"""What it takes to specialise policies to a principal: 10 rules and 10,000, for one that never asked before and again.

The rules beyond the ten never apply to the caller (groups it is not in) or are about other documents (tenants). Of
those that never asked before, each has an id, a tenant, a clearance and groups that none had before it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count, cycle, islice

from bench.measure import Subject, Whole, interleave
from bench.options import Options
from bench.results import Results, Row
from bench.workloads import documents
from policyengine import Engine
from policyengine.filters import Filter

NAME = "residual"
AGAIN, FIRST = "a principal asked for again", "another principal each time"
MANY = "another one each time, in 1,000 groups"
CALLS, GROUPS = 50, 1_000
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
    for shape, rules in CASES[:1] if options.quick else CASES:
        engine = Engine.from_text(documents.policy("group", shape, rules - 10) + _MORE)
        callers = [principal for principal, _ in documents.requests(options.seed)]
        subjects: list[Subject] = [
            Whole(AGAIN, CALLS, _asking(engine, lambda first=callers[0]: first)),
            Whole(FIRST, CALLS, _asking(engine, _in_turn(_others(options.seed), 5_000))),
            Whole(MANY, CALLS, _asking(engine, _in_turn(_others(options.seed, GROUPS), 200))),
        ]
        passes = interleave(subjects, options.rounds, options.seconds)
        results.rows += [
            Row(NAME, case(shape, rules), name, one.mean / 1000, "us/filter") for name, one in passes.items()
        ]
    return results


def _asking(engine: Engine, principal: Callable[..., documents.Entity]) -> Callable[[], Filter]:
    def ask() -> Filter:
        for _ in range(CALLS):
            found = engine.filter(principal=principal(), action="retrieve", resource_type="Document")
        return found

    return ask


def _in_turn(other: Callable[[], documents.Entity], most: int) -> Callable[[], documents.Entity]:
    """So many callers, made beforehand: making one takes time as well. The engine remembers nothing of a caller."""
    return cycle(list(islice(iter(other, None), most))).__next__


def _others(seed: int, groups: int = 0) -> Callable[[], documents.Entity]:
    """Callers that nobody knew before: in some of the groups that rules ask for, one of their own and `groups` more."""
    rng, numbers = random.Random(seed), count(1)
    more = [f"others{number}" for number in range(groups)]

    def other() -> documents.Entity:
        number = next(numbers)
        own = [*rng.sample(documents.GROUPS, rng.randint(0, 3)), f"team{number}", *more]
        return {
            "type": "User",
            "id": f"new{number}",
            "tenant": f"new{number}",
            "clearance": number if number % 2 else -number,
            "groups": own,
            "parents": [{"type": "Group", "id": group} for group in own],
        }

    return other
