"""PostgreSQL alone: what its planner makes of filters."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policyengine.filters import Field, column, sql
from tests.filters.test_sql_peculiar import asked
from tests.support.sql_stores import Store

Databases = Callable[[str], Store]


@pytest.fixture(scope="module")
def store(database: Databases) -> Store:
    """A table `planned` that is large enough for its indexes, with every condition cheap to look at and none alike."""
    store = database("postgresql")
    store.run('CREATE TABLE planned (id text, s text, so text COLLATE "C", n bigint, tags text[])', ())
    row = "('d' || i, 's' || i %% 1000, 's' || i %% 1000, i %% 7, ARRAY['t' || i %% 1000, 'u'])"
    store.run(f"INSERT INTO planned SELECT {row[1:-1]} FROM generate_series(1, 20000) AS i", ())
    for indexed in ("(s)", "(so)", "USING gin (tags)"):
        store.run(f"CREATE INDEX ON planned {indexed}", ())
    store.run("VACUUM ANALYZE planned", ())
    return store


def plan(store: Store, condition: str) -> str:
    columns: dict[str, str | Field] = {name: column(name, null="absent") for name in ("id", "s", "so", "n", "tags")}
    query = asked(condition).to(sql("postgresql", columns=columns), exact=True)
    return "\n".join(row[0] for row in store.run(f"EXPLAIN SELECT id FROM planned WHERE {query.where}", query.params))


@pytest.mark.parametrize(
    "condition",
    ['doc.s == "s1"', 'doc.s in ["s1", "s2"]', '"t1" in doc.tags', 'contains_all(doc.tags, ["t1", "u"])',
     'doc.s == "s1" or "t1" in doc.tags', 'doc has so and doc.so == "s1"'],
)  # fmt: skip
def test_an_index_is_used(store: Store, condition: str) -> None:
    assert "Index Cond" in plan(store, condition)


def test_a_column_that_compares_by_code_points_is_compared_once(store: Store) -> None:
    assert "Filter" not in plan(store, 'doc has so and doc.so == "s1"')


def test_arrays_are_looked_into_last(store: Store) -> None:
    shown = plan(store, 'not ("t2" in doc.tags) and (doc.n <= 3 or doc has so and doc.so == "s2") and doc.s == "s1"')
    assert shown.index("n <= '3'") < shown.index("so = 's2'") < shown.index("'{t2}'") < shown.index("array_ndims")
