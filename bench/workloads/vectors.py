"""Vector search: how many rows leave LanceDB until the k nearest that one principal may see are found."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.options import Options
from bench.results import Absent, Results, Row
from bench.workloads import documents, w3
from policyengine import Engine
from policyengine.filters import Filter, column, lancedb
from policyengine.integrations import permitted

NAME = "vectors"
K = 10
FETCHED, TIME = "rows fetched", "time"
SIZE = 64
# Of so many tenants the principal sees part of the documents of one: 1 % of all.
TENANTS = 42
ENGINE = "engine, filter"
SEARCH_THEN_FILTER = "search, then filter"
AT_BEST = "search, then filter, at best"
NAMES = ["id", "tenant", "owner", "classification", "labels"]
RETURNED = [*NAMES, "_distance"]
COLUMNS = {name: column(name, null="absent") for name in NAMES}

Chunk = dict[str, Any]
Vector = list[float]


@dataclass(frozen=True, slots=True)
class Answer:
    """The ids of what was found, and how many rows were fetched for it."""

    ids: list[str]
    fetched: int


def case(count: int, what: str) -> str:
    return f"{count:,} vectors, {what}"


def run(options: Options) -> Results:
    count, queries = (10_000, 5) if options.quick else (100_000, 40)
    if find_spec("lancedb") is None or find_spec("numpy") is None:
        return Results(absent=[Absent(NAME, case(count, FETCHED), "all", "lancedb and numpy are not installed")])
    import numpy

    engine = Engine.from_text(documents.policy("attribute"))
    found = engine.filter(principal=w3.PRINCIPAL, action="retrieve", resource_type="Document")
    asked = numpy.random.default_rng(options.seed + 1).standard_normal((queries, SIZE)).tolist()
    with TemporaryDirectory(prefix="bench-vectors-") as directory:
        table, visible = fill(directory, count, options.seed, found)
        ways = {
            AT_BEST: lambda vector: at_best(table, found, vector, count),
            SEARCH_THEN_FILTER: lambda vector: search_then_filter(table, found, vector, count),
            ENGINE: lambda vector: by_filter(table, found, vector),
        }
        measured: dict[str, list[tuple[Answer, float]]] = {name: [] for name in ways}
        for vector in asked:
            for name, way in ways.items():
                measured[name].append(_timed(way, vector))
    for name, answers in measured.items():
        if [each.ids for each, _ in answers] != [each.ids for each, _ in measured[ENGINE]]:
            raise AssertionError(f"{name}: finds others than the filter")
    if not 0.005 < visible / count < 0.015:
        raise AssertionError(f"{visible} of {count} documents are visible, which is not about 1 %")
    fetched = {name: sum(each.fetched for each, _ in answers) / queries for name, answers in measured.items()}
    took = {name: median(seconds for _, seconds in answers) * 1e3 for name, answers in measured.items()}
    least = fetched[AT_BEST]
    rows = [Row(NAME, case(count, FETCHED), AT_BEST, least, "rows", 1.0, AT_BEST)]
    rows += [
        Row(NAME, case(count, FETCHED), name, fetched[name], "rows", fetched[name] / least, AT_BEST)
        for name in (SEARCH_THEN_FILTER, ENGINE)
    ]
    naive = took[SEARCH_THEN_FILTER]
    rows += [
        Row(NAME, case(count, TIME), name, took[name], "ms", took[name] / naive, SEARCH_THEN_FILTER)
        for name in (SEARCH_THEN_FILTER, ENGINE)
    ]
    return Results(rows)


def fill(directory: str, count: int, seed: int, found: Filter) -> tuple[Any, int]:
    """A table of documents with random vectors and without an index, and how many of them the filter matches."""
    import lancedb as store
    import numpy
    import pyarrow

    rng = random.Random(seed)
    made = [{**documents.document(rng, number), "tenant": f"t{rng.randrange(TENANTS)}"} for number in range(count)]
    vectors = numpy.random.default_rng(seed).standard_normal(count * SIZE).astype(numpy.float32)
    columns = {name: [each[name] for each in made] for name in NAMES}
    columns["vector"] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors), SIZE)
    table = store.connect(directory).create_table("docs", pyarrow.table(columns))
    return table, sum(map(found.matches, made))


def by_filter(table: Any, found: Filter, vector: Vector) -> Answer:
    """The store is asked for what may be seen."""
    query = found.to(lancedb(COLUMNS))

    def search(n: int) -> list[Chunk]:
        rows: list[Chunk] = table.search(vector).where(query.native, prefilter=True).select(RETURNED).limit(n).to_list()
        return rows

    got = permitted(search, query, K)
    return Answer([each["id"] for each in got.chunks], got.fetched)


def search_then_filter(table: Any, found: Filter, vector: Vector, limit: int) -> Answer:
    """The store is asked for whatever is near, for more and more of it, until k of them may be seen."""
    got = permitted(lambda n: _nearest(table, vector, n), found, K, limit=limit)
    return Answer([each["id"] for each in got.chunks], got.fetched)


def at_best(table: Any, found: Filter, vector: Vector, limit: int) -> Answer:
    """The same, had it known beforehand how many it needs: the fewest rows that any search without a filter fetches."""
    number = K
    while True:
        nearest = _nearest(table, vector, number)
        places = [place for place, each in enumerate(nearest) if found.matches(each)][:K]
        if len(places) == K or number >= limit:
            return Answer([nearest[place]["id"] for place in places], places[-1] + 1 if len(places) == K else number)
        number = min(number * 4, limit)


def _nearest(table: Any, vector: Vector, n: int) -> list[Chunk]:
    rows: list[Chunk] = table.search(vector).select(RETURNED).limit(n).to_list()
    return rows


def _timed(way: Callable[[Vector], Answer], vector: Vector) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = way(vector)
    return answer, time.perf_counter() - start
