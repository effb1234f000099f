"""Timing, the same in every process. Standard library only, as peers import it in environments of their own.

A subject does one pass over its calls at a time. Subjects take turns, round after round, so that whatever else the
machine does falls on all of them alike; of each, the best round counts.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

# Fewer calls than this have no 99th percentile worth the name.
ENOUGH_FOR_P99 = 100


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass over `calls` calls. Times are nanoseconds for one call; `mean` is of a loop without a clock in it, the
    percentiles are of calls timed one by one, and so include what the clock costs (`clock_cost`)."""

    calls: int
    mean: float
    p50: float
    p99: float | None


class Failed(Exception):
    """A subject stopped answering. It says so itself where it matters; the others go on."""


class Subject(Protocol):
    """Something that is timed."""

    name: str

    def run(self) -> Pass:
        """One pass. Raises Failed if there can be no more."""
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """A subject of this process. `loop` does every call once; `each` does the same and gives the time of each."""

    name: str
    calls: int
    loop: Callable[[], object]
    each: Callable[[], list[int]]

    def run(self) -> Pass:
        with quiet():
            start = time.perf_counter_ns()
            self.loop()
            total = time.perf_counter_ns() - start
            times = self.each()
        return summary(total / self.calls, times)


def one_argument(name: str, call: Callable[[object], object], arguments: Sequence[object]) -> Local:
    """A subject that is called with one argument at a time."""

    def loop() -> None:
        for argument in arguments:
            call(argument)

    def each() -> list[int]:
        clock = time.perf_counter_ns
        times = []
        for argument in arguments:
            start = clock()
            call(argument)
            times.append(clock() - start)
        return times

    return Local(name, len(arguments), loop, each)


def whole(name: str, calls: int, run: Callable[[], object]) -> Local:
    """A subject that does all its calls in one: it has no percentiles."""
    return Local(name, calls, run, list)


def summary(mean: float, times: list[int]) -> Pass:
    ordered = sorted(times)
    p99 = percentile(ordered, 0.99) if len(ordered) >= ENOUGH_FOR_P99 else None
    return Pass(len(times), mean, percentile(ordered, 0.5) if ordered else mean, p99)


def percentile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


@contextmanager
def quiet() -> Iterator[None]:
    """Without the garbage collector, as `timeit` has it."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def interleave(subjects: Sequence[Subject], rounds: int, seconds: float) -> dict[str, Pass]:
    """The best of each subject. Every one gets two turns; who has used up `seconds` gets no more after that."""
    spent = dict.fromkeys((subject.name for subject in subjects), 0.0)
    passes: dict[str, list[Pass]] = {name: [] for name in spent}
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
    tails = [one.p99 for one in passes if one.p99 is not None]
    return Pass(
        passes[0].calls,
        min(one.mean for one in passes),
        min(one.p50 for one in passes),
        min(tails) if tails else None,
    )


def clock_cost() -> float:
    """Nanoseconds that timing one call adds to it."""
    return one_argument("clock", lambda _: None, [None] * 1000).run().p50
