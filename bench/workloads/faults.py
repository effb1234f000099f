"""Requests that lack an attribute, or have one of another type, beside the same requests in order: by rules that no
index leaves aside, and that come upon the attribute first, after another, in an `or`, in a value or in a quantifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.measure import Subject, Whole, interleave, one_argument
from bench.options import Options
from bench.results import Results, rows
from policyengine import Engine

NAME = "faults"
COUNTS = (100, 1_000, 10_000)
GOOD, MISSING, MISTYPED = "good", "an attribute is missing", "an attribute is of another type"
MANY = ", decide_many"
BOUND = 3.0
CONDITIONS = {
    "first": 'document.owner like "x{n}*"',
    "after another": 'document.tenant == principal.tenant and document.owner like "x{n}*"',
    "in or": 'document.classification == -{n} or document.owner like "x{n}*"',
    "in a value": '(if document.tenant == principal.tenant then document.owner else "y") like "x{n}*"',
    "in a quantifier": 'any r in principal.roles: r == "reader" and document.owner like "x{n}*"',
    "in JSON": 'document.facts.owner like "x{n}*"',
}
# The costliest are measured with the fewest rules.
CASES = [(shape, count) for shape in CONDITIONS for count in COUNTS if count < 10_000 or shape == "after another"]

PRINCIPAL = {"type": "User", "id": "ann", "tenant": "acme", "roles": ["reader"], "email": "ann@acme"}
DOCUMENT: dict[str, Any] = {
    "type": "Document",
    "id": "d",
    "tenant": "acme",
    "owner": "ann",
    "classification": 1,
    "labels": [],
}
DOCUMENT["facts"] = {"owner": "ann"}
RESOURCES: dict[str, dict[str, Any]] = {
    GOOD: DOCUMENT,
    MISSING: {**{name: value for name, value in DOCUMENT.items() if name != "owner"}, "facts": {}},
    MISTYPED: {**DOCUMENT, "owner": 5, "facts": {"owner": 5}},
}


def case(shape: str, count: int, many: bool = False) -> str:
    return f"{shape}, {count:,} rules{MANY if many else ''}"


def run(options: Options) -> Results:
    results = Results()
    for shape, count in CASES:
        rules = (f"forbid f{n}: retrieve on Document when {CONDITIONS[shape].format(n=n)}" for n in range(count))
        engine = Engine.from_text(
            "\n".join(["use ai", "extend Document { facts: Json }", "permit all: retrieve on Document", *rules])
        )
        asked = {name: _requests(name, max(2, 10_000 // count)) for name in RESOURCES}
        _check(engine, asked, count)
        seconds = options.seconds / 2
        single: list[Subject] = [
            one_argument(name, lambda one, ask=engine.decide: ask(**one), each)  # type: ignore[misc]
            for name, each in asked.items()
        ]
        many: list[Subject] = [
            Whole(name, len(each), lambda each=each, ask=engine.decide_many: ask(each))  # type: ignore[misc]
            for name, each in asked.items()
        ]
        for label, subjects in ((case(shape, count), single), (case(shape, count, True), many)):
            results.add(Results(rows(NAME, label, interleave(subjects, options.rounds, seconds), GOOD)))
    return results


def _requests(name: str, count: int) -> list[dict[str, Any]]:
    return [
        {"principal": PRINCIPAL, "action": "retrieve", "resource": {**RESOURCES[name], "id": f"d{n}"}, "context": {}}
        for n in range(count)
    ]


def _check(engine: Engine, asked: Mapping[str, Sequence[dict[str, Any]]], count: int) -> None:
    """Raises unless all rules err for what is amiss, and none otherwise. Afterwards the engine has seen all kinds."""
    for name, requests in asked.items():
        for _ in range(2):
            for decision in engine.decide_many(requests[:3]):
                erred = decision.errors_total or len(decision.errors)
                if erred != (0 if name == GOOD else count):
                    raise AssertionError(f"{name}: {erred} rules err")
