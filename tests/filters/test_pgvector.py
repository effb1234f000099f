"""The nearest documents that a caller may see, ordered by pgvector."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from policyengine.filters import json, sql
from tests.support.filter_corpus import PRINCIPAL, engine
from tests.support.sql_stores import Store


@pytest.mark.parametrize("index", ["", "USING hnsw (embedding vector_l2_ops)"])
def test_the_nearest_that_may_be_seen(database: Callable[[str], Store], index: str) -> None:
    store = database("postgresql")
    store.run("CREATE EXTENSION IF NOT EXISTS vector", ())
    store.run("DROP TABLE IF EXISTS near", ())
    store.run("CREATE TABLE near (id text, s text, data jsonb, embedding vector(2))", ())
    for i in range(100):
        row = (f"d{i}", "ab"[i % 2], '{"tags": ["x"]}' if i % 3 else '{"tags": ["draft"]}', f"[{i}, 0]")
        store.run("INSERT INTO near VALUES (%s, %s, %s, %s)", row)
    if index:
        store.run(f"CREATE INDEX ON near {index}", ())
    found = engine('doc.s == "a" and not ("draft" in doc.tags)').filter(
        principal=PRINCIPAL, action="read", resource_type="Doc"
    )
    query = found.to(sql("postgresql", columns={"id": "id", "s": "s", "*": json("data", names="checked")}), exact=True)
    assert isinstance(query.params, list)
    text = f"SELECT id FROM near WHERE {query.where} ORDER BY embedding <-> %s::vector LIMIT %s"
    assert store.run(text, [*query.params, "[0, 0]", 3]) == [("d2",), ("d4",), ("d8",)]
