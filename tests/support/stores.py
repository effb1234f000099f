"""Every store that filters are made for, as the contract of stores (`tests/filters/test_contract.py`) asks for one.

A store holds rows of columns of these kinds, of which one is `id`, and says which rows a query finds. What it cannot
hold, such as JSON beside typed columns, it has no kind for. A new store is one entry in `STORES`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import chromadb
import lancedb as lance
import polars as pl
import pyarrow as pa
import qdrant_edge as edge
from pymilvus import DataType, MilvusClient
from sqlalchemy import Column, MetaData, Table, Text, create_engine, select

from policyengine.filters import (
    Backend,
    Field,
    chroma,
    elasticsearch,
    lancedb,
    milvus,
    mongodb,
    pinecone,
    qdrant,
    sql,
    weaviate,
)
from policyengine.filters.arrow import arrow
from policyengine.filters.polars import polars
from policyengine.filters.qdrant_edge import edge_filter
from policyengine.filters.sqlalchemy import sqlalchemy
from tests.support.filter_checks import Ask
from tests.support.key_stores import READINGS, elasticsearch_finds, metadata_of, pinecone_finds, weaviate_finds
from tests.support.mongodb_semantics import finds
from tests.support.sql_stores import duckdb_run, postgresql_store

Row = dict[str, Any]
Kinds = Mapping[str, str]
Mapped = Mapping[str, str | Field]
SCALARS = frozenset({"text", "int", "float", "bool"})
ALL = SCALARS | {"texts", "ints", "json"}

_numbers = count()


@dataclass(frozen=True)
class Store:
    """kinds: of the columns that it can hold. hold: keeps rows with columns of these kinds. backend: what filters are
    made for such a table. texts: whether a column of JSON comes back as text."""

    kinds: frozenset[str]
    hold: Callable[[Sequence[Row], Kinds], Ask]
    backend: Callable[[Mapped, Kinds], Backend]
    texts: bool = False


def _name(value: Any) -> str:
    return f"t{next(_numbers)}"


# ---- databases that are asked in SQL ----


def _cell(value: Any, kind: str) -> Any:
    return value if kind != "json" or value is None or isinstance(value, str) else json.dumps(value)


def _with_room_for_one(hold: Callable[[Sequence[Row], Kinds], Ask]) -> Callable[[Sequence[Row], Kinds], Ask]:
    """For a store that keeps the latest rows only: whoever asks after others were put there has theirs put there
    again, whatever the order of tests."""
    latest: list[object] = [None]

    def holding(rows: Sequence[Row], kinds: Kinds) -> Ask:
        own = object()
        held = [hold(rows, kinds)]
        latest[0] = own

        def ask(native: Any) -> list[str]:
            if latest[0] is not own:
                held[0] = hold(rows, kinds)
                latest[0] = own
            return held[0](native)

        return ask

    return holding


def _sql(run: Callable[[str, Any], Any], types: Mapping[str, str], mark: str, quote: str) -> Any:
    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        table = _name(rows)
        run(f"CREATE TABLE {table} ({', '.join(f'{quote}{n}{quote} {types[k]}' for n, k in kinds.items())})", ())
        for row in rows:
            values = [_cell(row.get(name), kind) for name, kind in kinds.items()]
            run(f"INSERT INTO {table} VALUES ({', '.join([mark] * len(kinds))})", values)
        return lambda native: [each[0] for each in run(f"SELECT id FROM {table} WHERE {native.where}", native.params)]

    return hold


_SQLITE = {"text": "text", "int": "integer", "float": "real", "bool": "boolean", "json": "text"}
_DUCKDB = {"text": "VARCHAR", "int": "BIGINT", "float": "DOUBLE", "bool": "BOOLEAN", "texts": "VARCHAR[]",
           "ints": "BIGINT[]", "json": "JSON"}  # fmt: skip
_POSTGRESQL = {"text": "text", "int": "bigint", "float": "double precision", "bool": "boolean", "texts": "text[]",
               "ints": "bigint[]", "json": "jsonb"}  # fmt: skip


def _sqlite() -> Store:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    hold = _sql(lambda text, values: connection.execute(text, values).fetchall(), _SQLITE, "?", "`")
    return Store(frozenset(_SQLITE), hold, lambda columns, kinds: sql("sqlite", columns=columns), texts=True)


def _duckdb() -> Store:
    hold = _sql(duckdb_run(), _DUCKDB, "?", '"')
    return Store(ALL, hold, lambda columns, kinds: sql("duckdb", columns=columns), texts=True)


def _postgresql() -> Store:
    store = postgresql_store()
    return Store(
        ALL, _sql(store.run, _POSTGRESQL, "%s", '"'), lambda columns, kinds: sql("postgresql", columns=columns)
    )


def _sqlalchemy() -> Store:
    engine = create_engine("sqlite://")
    run = engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    @cache
    def described(names: tuple[str, ...]) -> Table:
        return Table("docs", MetaData(), *(Column(name, Text) for name in names))

    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        table = described(tuple(kinds))
        connection: Any = run.connection
        connection.execute("DROP TABLE IF EXISTS docs")
        connection.execute(f"CREATE TABLE docs ({', '.join(f'`{n}` {_SQLITE[k]}' for n, k in kinds.items())})")
        for row in rows:
            values = [_cell(row.get(name), kind) for name, kind in kinds.items()]
            connection.execute(f"INSERT INTO docs VALUES ({', '.join('?' * len(kinds))})", values)
        return lambda native: list(run.execute(select(table.c.id).where(native)).scalars())

    def backend(columns: Mapped, kinds: Kinds) -> Backend:
        return sqlalchemy(described(tuple(kinds)), columns, database="sqlite")

    return Store(frozenset(_SQLITE), _with_room_for_one(hold), backend, texts=True)


# ---- tables of Arrow and their like ----

_ARROW = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(),
          "texts": pa.list_(pa.string()), "ints": pa.list_(pa.int64())}  # fmt: skip


def _schema(kinds: Kinds) -> pa.Schema:
    return pa.schema({name: _ARROW[kind] for name, kind in kinds.items()})


def _table(rows: Sequence[Row], kinds: Kinds) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=_schema(kinds))


def _arrow() -> Store:
    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        table = _table(rows, kinds)
        return lambda native: table.filter(native)["id"].to_pylist()

    return Store(frozenset(_ARROW), hold, lambda columns, kinds: arrow(_schema(kinds), columns))


def _polars() -> Store:
    def frame(rows: Sequence[Row], kinds: Kinds) -> pl.DataFrame:
        made = pl.from_arrow(_table(rows, kinds))
        assert isinstance(made, pl.DataFrame)
        return made

    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        held = frame(rows, kinds)
        return lambda native: held.filter(native)["id"].to_list()

    return Store(frozenset(_ARROW), hold, lambda columns, kinds: polars(frame([], kinds).schema, columns))


def _lancedb() -> Store:
    connection = lance.connect(mkdtemp(prefix="policyengine-lancedb-"))

    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        table = connection.create_table("docs", _table(rows, kinds), mode="overwrite")

        def ask(native: str) -> list[str]:
            found = table.search().where(native).select(["id"]).limit(len(rows) + 1).to_list()
            return [each["id"] for each in found]

        return ask

    return Store(frozenset(_ARROW), _with_room_for_one(hold), lambda columns, kinds: lancedb(columns))


def _milvus() -> Store:
    client = MilvusClient(str(Path(mkdtemp(prefix="policyengine-milvus-")) / "docs.db"))
    types = {"text": DataType.VARCHAR, "int": DataType.INT64, "float": DataType.DOUBLE, "bool": DataType.BOOL,
             "texts": DataType.ARRAY, "ints": DataType.ARRAY, "json": DataType.JSON}  # fmt: skip
    elements = {"texts": DataType.VARCHAR, "ints": DataType.INT64}

    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        name = _name(rows)
        schema = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=64)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)
        for field, kind in kinds.items():
            if field != "id":
                more: Row = {"max_length": 60000} if kind in ("text", "texts") else {}
                more |= {"element_type": elements[kind], "max_capacity": 4000} if kind in elements else {}
                schema.add_field(field, types[kind], nullable=True, **more)
        index = client.prepare_index_params()
        index.add_index("vector", index_type="FLAT", metric_type="L2")
        client.create_collection(name, schema=schema, index_params=index)
        client.insert(name, [{**dict.fromkeys(kinds), **row, "vector": [1.0, 0.0]} for row in rows])
        client.load_collection(name)

        def ask(native: str) -> list[str]:
            found = client.query(name, filter=native, output_fields=["id"], limit=len(rows) + 1)
            return [each["id"] for each in found]

        return ask

    return Store(ALL, hold, lambda columns, kinds: milvus(columns))


# ---- payloads and metadata ----


def _payloads(rows: Sequence[Row]) -> list[Row]:
    """As documents: what is null is not there."""
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _mongodb() -> Store:
    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        held = _payloads(rows)
        return lambda native: [each["id"] for each in held if finds(native, each, True)]

    return Store(ALL, hold, lambda columns, kinds: mongodb(columns))


def _qdrant() -> Store:
    vectors = edge.EdgeVectorParams(size=1, distance=edge.Distance.Dot)
    shard = edge.EdgeShard.create(mkdtemp(prefix="policyengine-qdrant-"), edge.EdgeConfig(vectors=vectors))

    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=[])))
        points = [edge.Point(at, [1.0], payload) for at, payload in enumerate(_payloads(rows))]
        shard.update(edge.UpdateOperation.upsert_points(points))

        def ask(native: Any) -> list[str]:
            asked = edge.ScrollRequest(limit=len(rows) + 1, filter=edge_filter(native), with_payload=False)
            return [rows[int(point.id)]["id"] for point in shard.scroll(asked)[0]]

        return ask

    return Store(ALL, _with_room_for_one(hold), lambda columns, kinds: qdrant(columns))


def _chroma() -> Store:
    collection = chromadb.EphemeralClient().create_collection("contract")

    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        if held := collection.get(include=[])["ids"]:
            collection.delete(ids=held)
        ids = [each["id"] for each in rows]
        collection.add(ids=ids, embeddings=[[1.0]] * len(ids), metadatas=_payloads(rows))  # type: ignore[arg-type]
        return lambda native: collection.get(where=native, include=[])["ids"]

    return Store(SCALARS | {"texts", "ints"}, _with_room_for_one(hold), lambda columns, kinds: chroma(columns))


_ELASTIC = {"text": "keyword", "texts": "keyword", "int": "long", "ints": "long", "float": "double", "bool": "boolean"}


def _elasticsearch() -> Store:
    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        types = {name: _ELASTIC[kind] for name, kind in kinds.items()}
        return lambda query: [each["id"] for each in rows if elasticsearch_finds(query, each, types, READINGS[0])]

    def backend(columns: Mapped, kinds: Kinds) -> Backend:
        return elasticsearch({name: {"type": _ELASTIC[kind]} for name, kind in kinds.items()}, columns)

    return Store(frozenset(_ELASTIC), hold, backend)


def _pinecone() -> Store:
    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        return lambda query: [each["id"] for each in rows if pinecone_finds(query, metadata_of(each), READINGS[1])]

    return Store(SCALARS | {"texts"}, hold, lambda columns, kinds: pinecone(columns))


_WEAVIATE = {"text": "text", "texts": "text[]", "int": "int", "float": "number", "bool": "boolean"}


def _weaviate() -> Store:
    def hold(rows: Sequence[Row], kinds: Kinds) -> Ask:
        return lambda query: [each["id"] for each in rows if weaviate_finds(query, each, READINGS[1])]

    def backend(columns: Mapped, kinds: Kinds) -> Backend:
        return weaviate(
            [{"name": n, "dataType": [_WEAVIATE[k]], "tokenization": "field"} for n, k in kinds.items()],
            columns,
            null_index=True,
        )

    return Store(frozenset(_WEAVIATE), hold, backend)


STORES: dict[str, Callable[[], Store]] = {
    "sqlite": cache(_sqlite),
    "duckdb": cache(_duckdb),
    "postgresql": cache(_postgresql),
    "sqlalchemy": cache(_sqlalchemy),
    "arrow": cache(_arrow),
    "polars": cache(_polars),
    "lancedb": cache(_lancedb),
    "mongodb": cache(_mongodb),
    "qdrant": cache(_qdrant),
    "chroma": cache(_chroma),
    "milvus": cache(_milvus),
    "elasticsearch": cache(_elasticsearch),
    "pinecone": cache(_pinecone),
    "weaviate": cache(_weaviate),
}
