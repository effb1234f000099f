"""API keys in PostgreSQL, for the processes of many machines. Needs psycopg:
`pip install policyengine-ai[postgresql]`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any

from policyengine.callers.keys import Key, KeyUse, as_json
from policyengine.callers.stores.store import Keys, KeyStoreError, keys_of

if TYPE_CHECKING:
    import psycopg

_CONNECT = 3  # seconds
_STATEMENT = "5s"
_TABLES = """
create table if not exists policyengine_keys (id text primary key, body text not null);
create table if not exists policyengine_key_uses
  (id text primary key, count bigint not null, last double precision not null, address text not null);
create table if not exists policyengine_key_mark (one integer primary key check (one = 1), version bigint not null);
insert into policyengine_key_mark values (1, 0) on conflict do nothing;
"""


class PostgresqlStore:
    """The keys in a database, over one connection, which is made again after it has failed."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = Lock()
        self._db: psycopg.Connection[Any] | None = None

    def mark(self) -> str:
        with self._transaction() as db:
            row = db.execute("select version from policyengine_key_mark").fetchone()
            if row is None:
                raise KeyStoreError("PostgreSQL: not a store of keys")
            return str(row[0])

    def keys(self) -> Keys:
        with self._transaction() as db:
            return _keys(db)

    def change(self, change: Callable[[Keys], Key]) -> Key:
        with self._transaction() as db:
            # The row is locked to the end of the transaction: one change at a time.
            db.execute("update policyengine_key_mark set version = version + 1")
            changed = change(_keys(db))
            db.execute(
                "insert into policyengine_keys values (%s, %s) on conflict (id) do update set body = excluded.body",
                (changed.id, json.dumps(as_json(changed))),
            )
        return changed

    def add_uses(self, uses: Mapping[str, KeyUse]) -> None:
        with self._transaction() as db:
            # In one order, so that two processes do not wait for each other.
            for id_, use in sorted(uses.items()):
                db.execute(
                    "insert into policyengine_key_uses as old values (%s, %s, %s, %s) on conflict (id) do update set"
                    " count = old.count + excluded.count,"
                    " address = case when excluded.last >= old.last then excluded.address else old.address end,"
                    " last = greatest(old.last, excluded.last)",
                    (id_, use.count, use.last, use.address),
                )

    def uses(self) -> Mapping[str, KeyUse]:
        with self._transaction() as db:
            rows = db.execute("select id, count, last, address from policyengine_key_uses").fetchall()
        return {id_: KeyUse(count, last, address) for id_, count, last, address in rows}

    def close(self) -> None:
        with self._lock:
            self._drop()

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        import psycopg

        with self._lock:
            try:
                if self._db is None:
                    self._db = _connect(self._address)
                with self._db.transaction():
                    yield self._db
            except psycopg.Error as error:
                self._drop()
                # The message of the library may show the address, and with it a password.
                raise KeyStoreError(f"PostgreSQL: {error.sqlstate or type(error).__name__}") from None

    def _drop(self) -> None:
        if self._db is not None:
            with suppress(Exception):
                self._db.close()
            self._db = None


def create_postgresql(address: str) -> None:
    """Makes the tables, if they are not there. Raises StoreError."""
    import psycopg

    try:
        with _connect(address) as db:
            db.execute(_TABLES)
    except psycopg.Error as error:
        raise KeyStoreError(f"PostgreSQL: {error.sqlstate or type(error).__name__}") from None


def _connect(address: str) -> psycopg.Connection[Any]:
    import psycopg

    return psycopg.connect(
        address, autocommit=True, connect_timeout=_CONNECT, options=f"-c statement_timeout={_STATEMENT}"
    )


def _keys(db: psycopg.Connection[Any]) -> Keys:
    return keys_of(db.execute("select id, body from policyengine_keys"), "PostgreSQL")
