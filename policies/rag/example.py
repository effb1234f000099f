"""Ask a vector store, and get only what the caller may see: the same policies over LanceDB and PostgreSQL.

python example.py --user ann "What does a pump cost?"
python example.py --user gus --store postgresql "What does a pump cost?"
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import lancedb
import psycopg
import pyarrow
from minilm import SIZE, embed
from psycopg.rows import dict_row

from policyengine import Engine
from policyengine import filters as of
from policyengine.integrations import Retrieved, attributes, permitted

HERE = Path(__file__).parent

# Where both stores keep the attributes of the document that a chunk is of. All of them may be null: whoever fills a
# store forgets something, and the policies say what follows from that.
COLUMNS = {
    "id": of.column("doc", null="absent"),
    "tenant": of.column("tenant", null="absent"),
    "owner": of.column("owner", null="absent"),
    "classification": of.column("classification", null="absent"),
    "labels": of.column("labels", null="absent"),
    "project": of.column("project", null="absent"),
    "embargo_until": of.column("embargo_until", null="absent"),
}

Chunk = dict[str, Any]


@dataclass(frozen=True)
class Store:
    """In whose terms a filter is asked, and the search: of a vector, a filter's query and how many."""

    backend: of.Backend
    search: Callable[[list[float], of.Query, int], list[Chunk]]


def retrieve(engine: Engine, store: Store, user: str, question: str, k: int, now: datetime) -> Retrieved[Chunk]:
    """The k chunks nearest to the question that the user may see."""
    found = engine.filter(
        principal={"type": "User", "id": user},
        action="retrieve",
        resource_type="Document",
        context={"time": {"now": now.isoformat()}},
    )
    query = found.to(store.backend)
    vector = embed([question])[0]
    return permitted(lambda n: store.search(vector, query, n), query, k, document_of=attributes(columns=COLUMNS))


def chunks() -> list[Chunk]:
    """What is stored: texts, their vectors, and what is known of their documents."""
    read = json.loads((HERE / "chunks.json").read_text(encoding="utf-8"))
    for chunk, vector in zip(read, embed([each["text"] for each in read]), strict=True):
        until = chunk["embargo_until"]
        chunk |= {"embedding": vector, "embargo_until": until and datetime.fromisoformat(until)}
    return read


def in_lancedb(directory: str, stored: list[Chunk]) -> Store:
    """A table of LanceDB."""
    text = pyarrow.string()
    schema = pyarrow.schema({
        "doc": text, "tenant": text, "owner": text, "classification": pyarrow.int64(), "labels": pyarrow.list_(text),
        "project": text, "embargo_until": pyarrow.timestamp("us", "UTC"), "text": text,
        "embedding": pyarrow.list_(pyarrow.float32(), SIZE),
    })  # fmt: skip
    table = lancedb.connect(directory).create_table("chunks", pyarrow.Table.from_pylist(stored, schema))

    def search(vector: list[float], query: of.Query, n: int) -> list[Chunk]:
        # Without `prefilter` the filter would come after the n nearest were chosen.
        return table.search(vector).where(query.native, prefilter=True).limit(n).to_list()

    return Store(of.lancedb(COLUMNS), search)


def in_postgresql(uri: str, stored: list[Chunk]) -> Store:
    """A table of PostgreSQL with pgvector."""
    connection = psycopg.connect(uri, autocommit=True, row_factory=dict_row)
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    connection.execute(f"""
        CREATE TEMPORARY TABLE chunks (
            doc text, tenant text, owner text, classification bigint, labels text[], project text,
            embargo_until timestamptz, text text, embedding vector({SIZE})
        )""")
    names = list(stored[0])
    values = ", ".join("%s::vector" if name == "embedding" else "%s" for name in names)
    rows = [[str(each[name]) if name == "embedding" else each[name] for name in names] for each in stored]
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO chunks ({', '.join(names)}) VALUES ({values})", rows)

    def search(vector: list[float], query: of.Query, n: int) -> list[Chunk]:
        text = f"SELECT * FROM chunks WHERE {query.where} ORDER BY embedding <=> %s::vector LIMIT %s"
        return connection.execute(text, [*query.params, str(vector), n]).fetchall()

    return Store(of.sql("postgresql", columns=COLUMNS), search)


def started() -> str:
    """The address of a PostgreSQL that runs until the program ends."""
    import pgserver

    return pgserver.get_server(mkdtemp(), cleanup_mode="delete").get_uri()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("question")
    parser.add_argument("--user", required=True)
    parser.add_argument("--store", choices=["lancedb", "postgresql"], default="lancedb")
    parser.add_argument("--uri", help="of a PostgreSQL with pgvector; one is started if this is not given")
    parser.add_argument("--k", type=int, default=4)
    parser.add_argument("--now", type=datetime.fromisoformat, default=datetime.now(UTC))
    asked = parser.parse_args()

    engine = Engine.load(HERE, entities=HERE / "entities.json")
    if asked.store == "lancedb":
        store = in_lancedb(mkdtemp(), chunks())
    else:
        store = in_postgresql(asked.uri or started(), chunks())
    for chunk in retrieve(engine, store, asked.user, asked.question, asked.k, asked.now).chunks:
        print(f"{chunk['doc']}: {chunk['text']}")


if __name__ == "__main__":
    main()
