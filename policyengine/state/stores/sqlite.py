"""State in an SQLite file: shared by the processes of one machine, and kept across restarts.

One table of JSON documents. A transaction takes the write lock before it reads the clock.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import uniform
from threading import local
from time import monotonic, sleep

from policyengine.state.apply import apply
from policyengine.state.operations import Document, Operation, Outcome
from policyengine.state.store import StoreError
from policyengine.state.stores.memory import clock

# Raised with each change of the stored format; `_migrate` converts from each earlier version.
VERSION = 1

# How long one transaction waits for another's lock, in seconds.
DEADLINE = 5.0

# How long to sleep between two attempts at the lock, in seconds.
PAUSE = 0.0002, 0.003

# How many due keys each operation removes.
SWEEP = 64

# How many documents a full scan reads at a time.
BATCH = 500


class Sqlite:
    """A store in one file. Each thread has its own connection. Raises StoreError if the file cannot be used."""

    def __init__(self, path: str | Path, now: Callable[[], int] = clock, deadline: float = DEADLINE) -> None:
        # Each thread opens the file itself, and the process may have changed its directory by then.
        self._path = str(Path(path).absolute())
        self._now = now
        self._deadline = deadline
        self._local = local()
        self._opened: list[sqlite3.Connection] = []
        try:
            with closing(self._connect()) as connection:
                self._migrate(connection)
        except sqlite3.Error as error:
            raise StoreError(f"the state file cannot be used: {error}") from error

    def run(self, operation: Operation) -> Outcome:
        try:
            return self._run(operation)
        except sqlite3.Error as error:
            raise StoreError(f"the state file cannot be used: {error}") from error

    async def run_async(self, operation: Operation) -> Outcome:
        return await asyncio.to_thread(self.run, operation)

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        after, end = f"{kind}:", f"{kind};"
        try:
            while rows := self._rows(after, end):
                yield from ((key, json.loads(document)) for key, document in rows)
                after = rows[-1][0]
        except sqlite3.Error as error:
            raise StoreError(f"the state file cannot be used: {error}") from error

    def _rows(self, after: str, end: str) -> list[tuple[str, str]]:
        return self._connection().execute(
            "SELECT key, document FROM state WHERE key > ? AND key < ? AND expires > ? ORDER BY key LIMIT ?",
            (after, end, self._now(), BATCH),
        ).fetchall()  # fmt: skip

    def close(self) -> None:
        for connection in self._opened:
            connection.close()

    def _run(self, operation: Operation) -> Outcome:
        connection = self._connection()
        self._begin(connection)
        try:
            now = self._now()
            keys = operation.keys
            marks = ",".join("?" * len(keys))
            rows = connection.execute(
                f"SELECT key, document FROM state WHERE key IN ({marks}) AND expires > ?", (*keys, now)
            )
            documents: dict[str, Document] = {key: json.loads(document) for key, document in rows}
            applied = apply(operation, {key: documents.get(key) for key in keys}, now)
            for key, (document, expires) in applied.writes.items():
                if document is None:
                    connection.execute("DELETE FROM state WHERE key = ?", (key,))
                else:
                    connection.execute(
                        "INSERT INTO state (key, document, expires) VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET "
                        "document = excluded.document, expires = excluded.expires",
                        (key, json.dumps(document, separators=(",", ":")), expires),
                    )
            if applied.writes:
                connection.execute(
                    "DELETE FROM state WHERE rowid IN (SELECT rowid FROM state WHERE expires <= ? LIMIT ?)",
                    (now, SWEEP),
                )
            connection.execute("COMMIT")
        except BaseException:
            # Even if the thread is interrupted: otherwise the next operation of this connection could not begin.
            connection.execute("ROLLBACK")
            raise
        return applied.outcome

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            self._opened.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._deadline, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        # With NORMAL, a power failure can lose a commit in a write-ahead log: a spent budget would be available again.
        connection.execute("PRAGMA synchronous = FULL")
        # From here on `_begin` waits.
        connection.execute("PRAGMA busy_timeout = 0")
        return connection

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Takes the write lock. SQLite's own waiting sleeps longer each time, up to a tenth of a second, and so loses
        again and again to a busy writer; short sleeps of random length lose to nobody for long.
        """
        until = monotonic() + self._deadline
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > until:
                    raise
            sleep(uniform(*PAUSE))

    def _migrate(self, connection: sqlite3.Connection) -> None:
        if _version(connection) == VERSION:
            return
        self._begin(connection)
        version = _version(connection)
        if version > VERSION:
            connection.execute("ROLLBACK")
            raise sqlite3.DatabaseError("it was written by a newer version of policyengine")
        if version < 1:
            connection.execute(
                "CREATE TABLE state (key TEXT PRIMARY KEY, document TEXT NOT NULL, expires INTEGER NOT NULL)"
            )
            connection.execute("CREATE INDEX state_expires ON state (expires)")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    [version] = connection.execute("PRAGMA user_version").fetchone()
    return int(version)
