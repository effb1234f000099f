"""What `sources(...)` takes for each element of a list: a call with 1,000 of them, by a rule that asks for the sources
of each, beside the same call by a rule that looks at the elements alone. One entry speaks for all of them, or each
has its own.
"""

from __future__ import annotations

from typing import Any

from bench.measure import Subject, Whole, interleave
from bench.options import Options
from bench.results import Results, rows
from policyengine import Engine

NAME = "mentions"
COUNT = 1_000
WITHOUT, WITH = "without sources", "with sources"
ONE, EACH = "one entry for all", "an entry for each"
BOUND_NS = 2_000
CONDITIONS = {WITHOUT: '"web" == item.to', WITH: '"web" in sources(item.to)'}
STATED: dict[str, dict[str, Any]] = {
    ONE: {"": ["user"]},
    EACH: {f"/items/{n}/to": ["user"] for n in range(COUNT)},
}
AGAIN = 5


def run(options: Options) -> Results:
    results = Results()
    tool = {"type": "Tool", "id": "mail", "args": {"items": [{"to": f"t{n}"} for n in range(COUNT)]}}
    for case, stated in STATED.items():
        asked: dict[str, Any] = {
            "principal": {"type": "User", "id": "ann"},
            "action": "call",
            "resource": tool,
            "context": {"provenance": stated},
        }
        subjects: list[Subject] = []
        for name, condition in CONDITIONS.items():
            engine = Engine.from_text(
                "use ai\ntool mail(items: List<{ to: String }>)\n"
                f'permit p: call on Tool::"mail" when all item in tool.args.items: not ({condition})\n'
            )
            if not all(decision.allowed for decision in engine.decide_many([asked] * 3)):
                raise AssertionError(f"{case}, {name}: the call is denied")
            subjects.append(_subject(name, engine, asked))
        results.add(Results(rows(NAME, case, interleave(subjects, options.rounds, options.seconds), WITHOUT)))
    return results


def _subject(name: str, engine: Engine, asked: dict[str, Any]) -> Whole:
    return Whole(name, AGAIN, lambda: engine.decide_many([asked] * AGAIN))
