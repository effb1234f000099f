"""Where the figures have to land, as ratios within one run, and where they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from bench.peers import PEERS
from bench.results import Results
from bench.workloads import (
    actors,
    callers_http,
    documents,
    faults,
    hostile,
    load,
    loops,
    mentions,
    overload,
    postgresql,
    residual,
    revocation,
    vectors,
    w3,
)

MANY = 10_000
NAMES = frozenset(peer.name for peer in PEERS)


@dataclass(frozen=True, slots=True)
class Goal:
    """`measured` is the worst figure that the goal speaks of; None if the run did not measure it."""

    text: str
    bound: float
    at_most: bool
    measured: float | None
    unit: str = "×"

    @property
    def met(self) -> bool | None:
        if self.measured is None:
            return None
        return self.measured <= self.bound if self.at_most else self.measured >= self.bound


def goals(results: Results) -> list[Goal]:
    def value(workload: str, case: str, subject: str) -> float | None:
        row = results.find(workload, case, subject)
        return row.value if row else None

    def over(workload: str, case: str, one: str, other: str) -> float | None:
        return _ratio(value(workload, case, one), value(workload, case, other))

    def faster(workload: str, case: str) -> float | None:
        """How many times as long as the engine the fastest peer takes."""
        rows = (row for row in results.of(workload) if row.case == case)
        found = {row.subject: row.value for row in rows}
        return _ratio(_worst(min, (found.get(name) for name in NAMES)), found.get(loops.ENGINE))

    def loaded(subject: str) -> float | None:
        return value("load", load.case(MANY), subject)

    def authorized(case: str, subject: str) -> float | None:
        return over("authorize", case, f"authorize, {subject}", "decide" if case == "memory" else "a round trip")

    def asked(subject: str, other: str) -> float | None:
        row = results.find(callers_http.NAME, callers_http.CASE, f"{subject} / {other}")
        return row.value if row else None

    def mentioned(case: str) -> float | None:
        found = value(mentions.NAME, case, mentions.WITH), value(mentions.NAME, case, mentions.WITHOUT)
        return None if None in found else (found[0] - found[1]) / mentions.COUNT  # type: ignore[operator]

    oopsla = [row.ratio for row in results.of("oopsla") if row.subject in NAMES]
    w3_cases = sorted({row.case for row in results.of("w3")})
    single, batch = "single, 16 connections", "batch of 50, 16 connections"
    return [
        Goal("authorize in memory, one limit / decide", 5, True, authorized("memory", "one limit")),
        *[
            Goal(f"authorize over {case}, {many} / a round trip", bound, True, authorized(case, many))
            for case, bounds in (("Redis, asyncio", (1.4, 1.6)), ("Redis, sync", (1.7, 2.0)))
            for many, bound in zip(("one limit", "three limits"), bounds, strict=True)
        ],
        Goal(
            "authorizes over Redis from asyncio",
            5_000,
            False,
            value("authorize", "Redis, asyncio, 16 at once", "authorize, one limit"),
            "/s",
        ),
        *[
            Goal(f"W1, {v} variant, engine / floor", 3.5, True, over("w1", v, loops.ENGINE, loops.FLOOR))
            for v in documents.VARIANTS
        ],
        *[
            Goal(
                f"W2, {shape}, N = 10,000 / N = 0",
                1.25,
                True,
                over("w2", f"{shape} growth", f"engine N={MANY}", "engine N=0"),
            )
            for shape in documents.SHAPES
        ],
        *[
            Goal(
                f"{subject}, {case} / without",
                bound,
                True,
                over(actors.NAME, case, subject, actors.PLAIN),
            )
            for subject, bound in actors.GOALS.items()
            for case in (actors.case(count, many) for count in actors.COUNTS for many in (False, True))
        ],
        *[
            Goal(
                f"{subject}, {faults.case(shape, count, many)} / good",
                faults.BOUND,
                True,
                over(faults.NAME, faults.case(shape, count, many), subject, faults.GOOD),
            )
            for subject in (faults.MISSING, faults.MISTYPED)
            for shape, count in faults.CASES
            for many in (False, True)
        ],
        *[
            Goal(f"sources of an element, {case}", mentions.BOUND_NS, True, mentioned(case), "ns")
            for case in mentions.STATED
        ],
        Goal(
            "W3, specialised predicate / comprehension",
            2.5,
            True,
            _worst(max, (over("w3", case, w3.PREDICATE, loops.FLOOR) for case in w3_cases)),
        ),
        Goal(
            "PostgreSQL, filter / condition by hand",
            1.1,
            True,
            over("postgresql", postgresql.case(1_000_000), postgresql.FILTER, loops.FLOOR),
        ),
        Goal(
            "vector search, rows fetched, search then filter at best / filter",
            10,
            False,
            over("vectors", vectors.case(100_000, vectors.FETCHED), vectors.AT_BEST, vectors.ENGINE),
        ),
        *[
            Goal(
                f"residual of {subject}, {residual.case(shape, count)}",
                50 if count <= 10 else 1000,
                True,
                value(residual.NAME, residual.case(shape, count), subject),
                "us",
            )
            for subject in (residual.AGAIN, residual.FIRST)
            for shape, count in residual.CASES
        ],
        Goal("W1, fastest peer / engine", 12, False, _worst(min, (faster("w1", v) for v in documents.VARIANTS))),
        Goal(
            "W2, N = 10,000, best peer / engine",
            100,
            False,
            _worst(min, (faster("w2", f"{shape} N={MANY}") for shape in documents.SHAPES)),
        ),
        Goal("OOPSLA, cedarpy / engine, worst case", 50, False, _worst(min, oopsla)),
        Goal("load of 10,000 rules, cold", 10, True, loaded(load.COLD), "s"),
        Goal("load of 10,000 rules, warm", 0.5, True, loaded(load.WARM), "s"),
        Goal("reload of 10,000 rules, one file of 200 changed", 0.25, True, loaded(load.RELOAD), "s"),
        Goal("memory for 10,000 rules", 200, True, loaded(load.MEMORY), "MiB"),
        Goal(
            "plain requests beside hostile ones, 99 in 100, worst kind",
            hostile.MOST_MS,
            True,
            _worst(max, (row.value for row in results.of(hostile.NAME))),
            "ms",
        ),
        Goal("HTTP single, 16 connections, engine / floor", 0.85, False, over("http", single, "engine", "floor")),
        Goal("HTTP single, 16 connections, engine / OPA", 2, False, over("http", single, "engine", "opa")),
        *[
            Goal(f"HTTP, {subject} / {other}", bound, False, asked(subject, other))
            for subject, other, bound in callers_http.GOALS
        ],
        Goal(
            f"a revoked key is accepted no more, {revocation.CASE}",
            1.0,
            True,
            value(revocation.NAME, revocation.CASE, revocation.LAST),
            "s",
        ),
        Goal(overload.RATIO, 2.0, True, value(overload.NAME, overload.CASE, overload.RATIO)),
        Goal("HTTP batch of 50, 16 connections, engine / floor", 0.6, False, over("http", batch, "engine", "floor")),
        Goal("HTTP batch of 50, 16 connections, engine / OPA", 5, False, over("http", batch, "engine", "opa")),
    ]


def _ratio(one: float | None, other: float | None) -> float | None:
    return None if one is None or not other else one / other


def _worst(choose: Callable[[list[float]], float], figures: Iterable[float | None]) -> float | None:
    found = [figure for figure in figures if figure is not None]
    return choose(found) if found else None
