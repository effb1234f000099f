"""Requests as AI systems make them: with agents, with an action that has attributes, with an approval.

Each beside the same requests without, one by one and many at once, with 10 and with 2,000 rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Local, Subject, Whole, interleave
from bench.options import Options
from bench.results import Results, rows
from bench.workloads import documents, loops
from policyengine import Engine

NAME = "actors"
COUNTS = (10, 2_000)

PLAIN = "plain"
ONE_AGENT = "one agent"
THREE_AGENTS = "three agents"
ACTION = "action with attributes"
APPROVED = "approval"
GOALS = {ONE_AGENT: 2.5, THREE_AGENTS: 5.0, ACTION: 1.3, APPROVED: 2.0}

POLICY = """
extend Agent { clearance: Int, groups: Set<String> }

require sign_off: retrieve on Document
  when document.classification > 3
  approval(by: Group::"legal")
"""
SIGN_OFF = "documents.sign_off"

Asked = dict[str, Any]


def case(count: int, many: bool = False) -> str:
    return f"{count:,} rules{', decide_many' if many else ''}"


def run(options: Options) -> Results:
    results = Results()
    for count in COUNTS:
        engine = Engine.from_text(documents.policy("attribute", "tenant", count - 5) + POLICY)
        asked = {name: requests(options, name) for name in (PLAIN, *GOALS)}
        _check(engine, asked)
        one_by_one: list[Subject] = [_single(engine, name, each) for name, each in asked.items()]
        many: list[Subject] = [_many(engine, name, each) for name, each in asked.items()]
        for label, subjects in ((case(count), one_by_one), (case(count, many=True), many)):
            results.add(Results(rows(NAME, label, interleave(subjects, options.rounds, options.seconds), PLAIN)))
    return results


def requests(options: Options, kind: str) -> list[Asked]:
    """The requests of W1, with what the kind adds to each."""
    found = []
    for number, (principal, document) in enumerate(documents.requests(options.seed, options.requests)):
        asked: Asked = {"principal": principal, "action": "retrieve", "resource": document, "context": {}}
        match kind:
            case "one agent":
                asked["context"] = {"agent": _agents(principal, number, 1)}
            case "three agents":
                asked["context"] = {"agent": _agents(principal, number, 3)}
            case "action with attributes":
                asked["action"] = {"name": "retrieve", "purpose": "support"}
            case "approval":
                asked["approved"] = [SIGN_OFF]
        found.append(asked)
    return found


def _agents(principal: documents.Entity, number: int, count: int) -> documents.Entity:
    """Agents that may do what the principal may, each acting for the next."""
    agent: documents.Entity = {}
    for place in range(count):
        made = {
            "type": "Agent",
            "id": f"a{number}-{place}",
            "tenant": principal["tenant"],
            "clearance": 5,
            "groups": principal["groups"],
        }
        agent = {**made, "delegated_by": agent} if agent else made
    return agent


def _check(engine: Engine, asked: dict[str, list[Asked]]) -> None:
    """Raises unless the decisions are what they should be. Afterwards the engine has seen every request."""
    for name, each in asked.items():
        many = engine.decide_many(each)
        loops.same(name, [d.decision == "allow" for d in many], [_expected(one, name) for one in each])
        if [engine.decide(**one) for one in each] != many:
            raise AssertionError(f"{name}: decide_many says something else than decide")


def _expected(asked: Asked, name: str) -> bool:
    principal, document = asked["principal"], asked["resource"]
    signed = name == APPROVED or document["classification"] <= 3
    # The agents are cleared for everything.
    return documents.floor_attribute(principal, document) and signed


def _single(engine: Engine, name: str, asked: Sequence[Asked]) -> Local:
    decide: Callable[..., Any] = engine.decide

    def loop(some: Sequence[Asked]) -> None:
        for one in some:
            decide(**one)

    def each(some: Sequence[Asked]) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        for one in some:
            start = clock()
            decide(**one)
            times.append(clock() - start)
        return times

    return Local(name, asked, loop, each)


def _many(engine: Engine, name: str, asked: Sequence[Asked]) -> Whole:
    return Whole(name, len(asked), lambda: engine.decide_many(asked))
