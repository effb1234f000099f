"""The subjects of this process: the floor and the engine, each called as a program would call it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Local, Whole
from bench.workloads.documents import Request
from policyengine import Engine
from policyengine.compile.evaluator import Evaluator

FLOOR = "floor"
ENGINE = "engine"


def floor(function: Callable[[Any, Any], bool], requests: Sequence[Request]) -> Local:
    def loop(some: Sequence[Request]) -> None:
        for principal, document in some:
            function(principal, document)

    def each(some: Sequence[Request]) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        for principal, document in some:
            start = clock()
            function(principal, document)
            times.append(clock() - start)
        return times

    return Local(FLOOR, requests, loop, each)


def in_python(made: Engine) -> Evaluator:
    """What decides where there was no C compiler."""
    found = made.snapshot
    return Evaluator(found.policies, found.schema, found.world, found.revision, native=None)


def engine(made: Engine | Evaluator, requests: Sequence[Request], name: str = ENGINE) -> Local:
    decide = made.decide
    context: dict[str, Any] = {}

    def loop(some: Sequence[Request]) -> None:
        for principal, document in some:
            decide(principal=principal, action="retrieve", resource=document, context=context)

    def each(some: Sequence[Request]) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        for principal, document in some:
            start = clock()
            decide(principal=principal, action="retrieve", resource=document, context=context)
            times.append(clock() - start)
        return times

    return Local(name, requests, loop, each)


def engine_many(made: Engine, requests: Sequence[Request]) -> Whole:
    asked = [{"principal": p, "action": "retrieve", "resource": d, "context": {}} for p, d in requests]
    return Whole("engine, decide_many", len(asked), lambda: made.decide_many(asked))


def decisions(made: Engine, requests: Sequence[Request]) -> list[bool]:
    """What the engine decides, one at a time. Afterwards it has seen every request."""
    return [made.decide(principal=p, action="retrieve", resource=d, context={}).allowed for p, d in requests]


def same(name: str, found: Sequence[bool], expected: Sequence[bool]) -> None:
    """Raises unless the decisions are equal: figures of subjects that disagree mean nothing."""
    for number, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one is not other:
            raise AssertionError(f"{name}: request {number} is {one}, expected {other}")
