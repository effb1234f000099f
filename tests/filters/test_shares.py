"""The table of `grammar/filters.md` says how much each store is asked for exactly, and is true.

`UPDATE_GOLDEN=1` writes it anew.
"""

from __future__ import annotations

from itertools import dropwhile

from policyengine.filters import Backend, chroma, lancedb, milvus, qdrant
from policyengine.filters.arrow import arrow
from policyengine.filters.polars import polars
from policyengine.filters.sqlalchemy import sqlalchemy
from tests.filters import (
    test_chroma,
    test_columns,
    test_key_stores,
    test_lancedb,
    test_milvus,
    test_mongodb,
    test_qdrant,
)
from tests.filters.test_sql import IN_COLUMNS, IN_JSON
from tests.filters.test_sqlalchemy import typed_table
from tests.support.filter_corpus import ANY_SHAPE, CONDITIONS
from tests.support.filter_shares import POLICIES, conditions, policies, share
from tests.support.filter_tables import mapping
from tests.support.golden import assert_golden
from tests.support.paths import ROOT
from tests.support.sql_stores import TYPED

PAGE = ROOT / "grammar/filters.md"
HEAD = "| store | conditions | policies |\n|---|---|---|\n"
BACKENDS: dict[str, Backend] = {
    "PostgreSQL, columns": IN_COLUMNS["postgresql"],
    "PostgreSQL, `jsonb`": IN_JSON["postgresql"],
    "SQLite, columns": IN_COLUMNS["sqlite"],
    "SQLite, JSON": IN_JSON["sqlite"],
    "DuckDB, columns": IN_COLUMNS["duckdb"],
    "DuckDB, JSON": IN_JSON["duckdb"],
    "SQLAlchemy, columns of PostgreSQL": sqlalchemy(
        typed_table("postgresql"), TYPED["postgresql"], database="postgresql"
    ),
    "Arrow": arrow(test_columns.TABLE, mapping()),
    "Arrow, nulls of either kind": arrow(test_columns.TABLE, mapping(None)),
    "Polars": polars(test_columns.FRAME, mapping()),
    "Polars, nulls of either kind": polars(test_columns.FRAME, mapping(None)),
    "MongoDB, documents of any shape": test_mongodb.STORE,
    "MongoDB, ids instead of references": test_mongodb.IDS,
    "Elasticsearch, OpenSearch": test_key_stores.STORES["elasticsearch"],
    "Pinecone": test_key_stores.STORES["pinecone"],
    "Weaviate": test_key_stores.STORES["weaviate"],
    "LanceDB": lancedb(test_lancedb.MAPPING),
    "Milvus": milvus(test_milvus.TYPED),
    "Qdrant, `column` and `ref`": qdrant(test_qdrant.PROMISED),
    "Qdrant, keys of any shape": qdrant(ANY_SHAPE),
    "Chroma, `column` and `ref`": chroma(test_chroma.PROMISED),
    "Chroma, keys of any shape": chroma(ANY_SHAPE),
}


def table() -> str:
    rows = {name: [share(backend, made) for made in (conditions(), policies())] for name, backend in BACKENDS.items()}
    return HEAD + "".join(f"| {name} | {' | '.join(shares)} |\n" for name, shares in rows.items())


def test_the_table_is_true() -> None:
    before, found, after = PAGE.read_text(encoding="utf-8").partition(HEAD)
    assert found
    assert f"corpus of {len(CONDITIONS)} conditions" in before
    assert f"{POLICIES} policies" in before
    rest = "".join(dropwhile(lambda line: line.startswith("|"), after.splitlines(keepends=True)))
    assert_golden(PAGE, before + table() + rest)
