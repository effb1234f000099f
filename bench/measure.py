"""Timing, the same in every process. Standard library only, as peers import it in environments of their own.

A subject does one pass over its calls at a time. Subjects take turns, round after round, so that whatever else the
machine does falls on all of them alike; of each, the best round counts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

# Fewer calls than this have no 99th percentile worth the name.
ENOUGH_FOR_P99 = 100
# About what is timed as one.
PART_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over `calls` calls, in nanoseconds. `parts` are what runs of calls took together, without a clock in
    them: each is short, so that of many rounds one was not interrupted. The percentiles are of calls timed one by one,
    and so include what the clock costs (`clock_cost`)."""

    calls: int
    parts: list[int]
    p50: float | None
    p99: float | None

    @property
    def mean(self) -> float:
        return sum(self.parts) / self.calls


class Failed(Exception):
    """A subject stopped answering. It says so itself where it matters; the others go on."""


class Subject(Protocol):
    """Something that is timed."""

    name: str

    def run(self) -> Pass:
        """One pass. Raises Failed if there can be no more."""
        ...


class Local:
    """A subject of this process. `loop` does some calls; `each` does the same and gives the time of each."""

    def __init__(
        self,
        name: str,
        requests: Sequence[Any],
        loop: Callable[[Sequence[Any]], object],
        each: Callable[[Sequence[Any]], list[int]],
    ) -> None:
        self.name = name
        self._requests = requests
        self._loop = loop
        self._each = each
        with quiet():
            took = _time(loop, requests)
        length = max(1, int(len(requests) * PART_NS / took))
        self._parts = [requests[i : i + length] for i in range(0, len(requests), length)]

    def run(self) -> Pass:
        with quiet():
            parts = [_time(self._loop, part) for part in self._parts]
            times = sorted(self._each(self._requests))
        p99 = percentile(times, 0.99) if len(times) >= ENOUGH_FOR_P99 else None
        return Pass(len(self._requests), parts, percentile(times, 0.5), p99)


class Whole:
    """A subject that does all its calls in one, and so has no percentiles."""

    def __init__(self, name: str, calls: int, call: Callable[[], object]) -> None:
        self.name = name
        self._calls = calls
        self._call = call

    def run(self) -> Pass:
        with quiet():
            start = time.perf_counter_ns()
            self._call()
            return Pass(self._calls, [time.perf_counter_ns() - start], None, None)


def one_argument(name: str, call: Callable[[Any], object], arguments: Sequence[Any]) -> Local:
    """A subject that is called with one argument at a time."""

    def loop(some: Sequence[Any]) -> None:
        for argument in some:
            call(argument)

    def each(some: Sequence[Any]) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        for argument in some:
            start = clock()
            call(argument)
            times.append(clock() - start)
        return times

    return Local(name, arguments, loop, each)


def _time(loop: Callable[[Sequence[Any]], object], requests: Sequence[Any]) -> int:
    start = time.perf_counter_ns()
    loop(requests)
    return time.perf_counter_ns() - start


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the garbage collector, as `timeit` has it."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(subjects: Sequence[Subject], rounds: int, seconds: float) -> dict[str, Pass]:
    """The best of each subject. Every one gets two turns; who has used up `seconds` gets no more after that."""
    spent = dict.fromkeys((subject.name for subject in subjects), 0.0)
    passes: dict[str, list[Pass]] = {name: [] for name in spent}
    gc.collect()
    for number in range(rounds):
        for subject in subjects:
            if number >= 2 and spent[subject.name] > seconds:
                continue
            start = time.perf_counter()
            try:
                passes[subject.name].append(subject.run())
            except Failed:
                spent[subject.name] = float("inf")
            spent[subject.name] += time.perf_counter() - start
    return {name: best(done) for name, done in passes.items() if done}


def best(passes: Sequence[Pass]) -> Pass:
    """The best of each part and of each percentile."""
    parts = [min(took) for took in zip(*(one.parts for one in passes), strict=True)]
    return Pass(passes[0].calls, parts, _least(one.p50 for one in passes), _least(one.p99 for one in passes))


def _least(figures: Iterable[float | None]) -> float | None:
    return min((figure for figure in figures if figure is not None), default=None)


def clock_cost() -> float:
    """Nanoseconds that timing one call adds to it."""
    cost = one_argument("clock", lambda _: None, [None] * 1000).run().p50
    assert cost is not None
    return cost
