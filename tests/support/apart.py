"""A database in a process of its own: to plan a long condition takes hundreds of megabytes, which are not to stay with
the process that asks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import duckdb

Run = Callable[[str, Any], list[tuple[Any, ...]]]


def in_duckdb() -> Run:
    connection = duckdb.connect(config={"threads": 1})
    return lambda text, params: connection.execute(text, params).fetchall()


def in_sqlite() -> Run:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    return lambda text, params: connection.execute(text, params).fetchall()


def apart(database: Callable[[], Run]) -> Run:
    """Runs statements in such a database, which another process opens. It ends with this one, or before, when nothing
    can ask it any more."""
    ours, theirs = get_context("spawn").Pipe()
    get_context("spawn").Process(target=_answer, args=(database, theirs), daemon=True).start()
    theirs.close()

    def run(text: str, params: Any) -> list[tuple[Any, ...]]:
        ours.send((text, params))
        found: list[tuple[Any, ...]] | Exception = ours.recv()
        if isinstance(found, Exception):
            raise found
        return found

    return run


def _answer(database: Callable[[], Run], asked: Connection) -> None:
    run = database()
    while True:
        try:
            text, params = asked.recv()
        except EOFError:
            return
        try:
            found: Any = run(text, params)
        except (duckdb.Error, sqlite3.Error) as error:
            found = error
        asked.send(found)
