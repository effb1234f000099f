"""PostgreSQL: how many of many rows may one principal see, with the filter and with a condition written by hand."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

from bench.measure import Subject, Whole, interleave
from bench.options import Options
from bench.results import Absent, Results, rows
from bench.workloads import documents, loops, w3
from policyengine import Engine
from policyengine.filters import sql

NAME = "postgresql"
FILTER = "engine, filter"
COLUMNS = {name: name for name in ("id", "tenant", "owner", "classification", "labels")}
BY_HAND = "tenant = %s AND (classification <= %s OR owner = %s) AND NOT labels @> ARRAY['legal_hold']"


def case(count: int) -> str:
    return f"{count:,} rows"


def run(options: Options) -> Results:
    count = 10_000 if options.quick else 1_000_000
    if find_spec("pgserver") is None or find_spec("psycopg") is None:
        return Results(absent=[Absent(NAME, case(count), "all", "pgserver and psycopg are not installed")])
    import pgserver
    import psycopg

    with (
        TemporaryDirectory(prefix="bench-postgresql-") as directory,
        pgserver.get_server(directory) as server,
        psycopg.connect(server.get_uri(), autocommit=True) as connection,
    ):
        fill(connection, count, options.seed)
        conditions = {loops.FLOOR: by_hand(), FILTER: by_filter()}
        ways = {name: counted(connection, where, params) for name, (where, params) in conditions.items()}
        if len({way() for way in ways.values()}) != 1:
            raise AssertionError("the filter finds other rows than the condition by hand")
        subjects: list[Subject] = [Whole(name, 1, way) for name, way in ways.items()]
        passes = interleave(subjects, min(options.rounds, 60), options.seconds * 10)
        return Results(rows(NAME, case(count), passes, loops.FLOOR))


def by_hand() -> tuple[str, Any]:
    return BY_HAND, [w3.PRINCIPAL["tenant"], w3.PRINCIPAL["clearance"], w3.PRINCIPAL["id"]]


def by_filter() -> tuple[str, Any]:
    engine = Engine.from_text(documents.policy("attribute"))
    found = engine.filter(principal=w3.PRINCIPAL, action="retrieve", resource_type="Document")
    query = found.to(sql("postgresql", columns=COLUMNS), exact=True)
    return query.where, query.params


def fill(connection: Any, count: int, seed: int) -> None:
    """A table of documents with an index on their tenants."""
    rng = random.Random(seed)
    columns = "id text, tenant text, owner text, classification bigint, labels text[]"
    connection.execute(f"CREATE TABLE docs ({columns})")
    with connection.cursor() as cursor, cursor.copy("COPY docs FROM STDIN") as copy:
        for number in range(count):
            one = documents.document(rng, number)
            copy.write_row((one["id"], one["tenant"], one["owner"], one["classification"], one["labels"]))
    connection.execute("CREATE INDEX ON docs (tenant)")
    connection.execute("VACUUM ANALYZE docs")


def counted(connection: Any, where: str, params: Any) -> Callable[[], int]:
    """Asks how many rows meet the condition."""
    text = f"SELECT count(*) FROM docs WHERE {where}"

    def ask() -> int:
        number: int = connection.execute(text, params).fetchone()[0]
        return number

    return ask
