"""State in PostgreSQL: shared by the processes of many machines. Needs `pip install policyengine-ai[postgresql]`.

One table of JSON documents. A transaction locks its keys in order, even those without a row, before it reads the
server's clock.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from policyengine.state.apply import apply
from policyengine.state.operations import Document, Operation, Outcome
from policyengine.state.store import StoreError

# How long one statement may take, and how long to wait for a free connection, in seconds.
DEADLINE = 5.0

# The most connections.
CONNECTIONS = 10

# How many due keys each operation removes.
SWEEP = 64

# How many documents a full scan reads at a time.
BATCH = 500

_TABLES = """
create table if not exists policyengine_state
  (key text primary key, document jsonb not null, expires bigint not null);
create index if not exists policyengine_state_expires on policyengine_state (expires);
"""
_LOCK = """
select pg_advisory_xact_lock(n) from
  (select distinct hashtextextended(k, 0) as n from unnest(%s::text[]) as k order by n) as locks
"""
_NOW = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint"
_READ = "select key, document from policyengine_state where key = any(%s) and expires > %s"
_WRITE = """
insert into policyengine_state values (%s, %s, %s)
on conflict (key) do update set document = excluded.document, expires = excluded.expires
"""
_SURVEY = "select key, document from policyengine_state where starts_with(key, %s) and expires > %s"
_FORGET = """
delete from policyengine_state where key in
  (select key from policyengine_state where expires <= %s limit %s for update skip locked)
"""


class Postgresql:
    """A store behind a connection string. `now` is a clock for tests, in microseconds; the default is the server's own
    clock. Raises StoreError if the server is unavailable."""

    def __init__(self, address: str, now: Callable[[], int] | None = None, deadline: float = DEADLINE) -> None:
        try:
            import psycopg
            import psycopg_pool
        except ImportError:
            raise StoreError("a state store in PostgreSQL needs `pip install policyengine-ai[postgresql]`") from None
        self._failures = (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed)
        self._now = now
        options = f"-c statement_timeout={round(deadline * 1000)}"
        self._pool: Any = psycopg_pool.ConnectionPool(
            address,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=deadline,
            kwargs={"connect_timeout": max(1, round(deadline)), "options": options},
            open=True,
        )
        try:
            with self._connection() as connection:
                # `create table if not exists` fails if two nodes start at the same moment.
                connection.execute("select pg_advisory_xact_lock(hashtextextended('policyengine_state', 0))")
                connection.execute(_TABLES)
        except StoreError:
            self._pool.close()
            raise

    def run(self, operation: Operation) -> Outcome:
        keys = list(operation.keys)
        with self._connection() as connection:
            # The order is the same for everybody; otherwise two transactions with the same keys could wait for each
            # other.
            connection.execute(_LOCK, (keys,))
            now = self._now() if self._now is not None else connection.execute(_NOW).fetchone()[0]
            documents = dict(connection.execute(_READ, (keys, now)).fetchall())
            applied = apply(operation, {key: documents.get(key) for key in keys}, now)
            writes = [(key, document, end) for key, (document, end) in applied.writes.items()]
            for key, document, expires in writes:
                if document is None:
                    connection.execute("delete from policyengine_state where key = %s", (key,))
                else:
                    connection.execute(_WRITE, (key, json.dumps(document), expires))
            if writes:
                connection.execute(_FORGET, (now, SWEEP))
        return applied.outcome

    async def run_async(self, operation: Operation) -> Outcome:
        return await asyncio.to_thread(self.run, operation)

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        with self._connection() as connection:
            now = self._now() if self._now is not None else connection.execute(_NOW).fetchone()[0]
            with connection.cursor("survey") as cursor:
                cursor.itersize = BATCH
                yield from cursor.execute(_SURVEY, (f"{kind}:", now))

    def close(self) -> None:
        self._pool.close()

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        """A connection in a transaction, which is committed unless an exception is raised."""
        try:
            with self._pool.connection() as connection:
                yield connection
        except self._failures as error:
            raise StoreError(f"the state store is unavailable: {error}") from error
