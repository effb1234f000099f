"""API keys in an SQLite database, for the processes of one machine."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from policyengine.callers.keys import Key, KeyUse, as_json
from policyengine.callers.stores.store import Keys, KeyStoreError, keys_of

_OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
_WAIT = 5.0  # seconds, for somebody else's change
_TABLES = """
create table if not exists keys (id text primary key, body text not null) strict;
create table if not exists uses (id text primary key, count integer not null, last real not null, address text not null)
  strict;
create table if not exists mark (one integer primary key check (one = 1), version integer not null) strict;
insert or ignore into mark values (1, 0);
"""


class SqliteStore:
    """The keys in a database. Each call has a connection of its own, so that threads share none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mark(self) -> str:
        with self._connected() as db:
            return str(db.execute("select version from mark").fetchone()[0])

    def keys(self) -> Keys:
        with self._connected() as db:
            return self._keys(db)

    def change(self, change: Callable[[Keys], Key]) -> Key:
        with self._connected() as db, _transaction(db):
            changed = change(self._keys(db))
            body = json.dumps(as_json(changed))
            db.execute("insert or replace into keys values (?, ?)", (changed.id, body))
            db.execute("update mark set version = version + 1")
        return changed

    def add_uses(self, uses: Mapping[str, KeyUse]) -> None:
        rows = [(id_, use.count, use.last, use.address) for id_, use in uses.items()]
        with self._connected() as db, _transaction(db):
            db.executemany(
                "insert into uses values (?, ?, ?, ?) on conflict (id) do update set count = count + excluded.count,"
                " address = case when excluded.last >= last then excluded.address else address end,"
                " last = max(last, excluded.last)",
                rows,
            )

    def uses(self) -> Mapping[str, KeyUse]:
        with self._connected() as db:
            rows = db.execute("select id, count, last, address from uses").fetchall()
        return {id_: KeyUse(count, last, address) for id_, count, last, address in rows}

    def close(self) -> None:
        pass

    def _keys(self, db: sqlite3.Connection) -> Keys:
        return keys_of(db.execute("select id, body from keys"), str(self._path))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            status = os.stat(self._path)
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & _OTHERS_CAN_WRITE:
                raise KeyStoreError(f"{self._path}: others may write to it, so it is not used")
            # `mode=rw` does not make a database that is not there: without keys, nobody would be let in or told why.
            address = f"{self._path.absolute().as_uri()}?mode=rw"
            with closing(sqlite3.connect(address, uri=True, timeout=_WAIT, isolation_level=None)) as db:
                yield db
        except OSError as error:
            raise KeyStoreError(f"{self._path}: {(error.strerror or 'cannot be used').lower()}") from None
        except sqlite3.Error as error:
            raise KeyStoreError(f"{self._path}: {error}") from None


def create_sqlite(path: Path) -> None:
    """Makes a database without keys, and its directory, if it is not there. Raises StoreError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, timeout=_WAIT)) as db:
            db.executescript(_TABLES)
    except OSError as error:
        raise KeyStoreError(f"{path}: {(error.strerror or 'cannot be used').lower()}") from None
    except sqlite3.Error as error:
        raise KeyStoreError(f"{path}: {error}") from None


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")
