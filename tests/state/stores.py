"""Every store, with a clock that a test sets. A new store is one more line in STORES, and brings no tests of its
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from policyengine.state.store import Store
from policyengine.state.stores.cluster import Cluster
from policyengine.state.stores.memory import Memory
from policyengine.state.stores.postgresql import Postgresql
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.sqlite import Sqlite
from tests.state.servers import cluster_url, current_redis_url, postgresql_url, redis_url

# In: the clock, in microseconds. Out: a store that is empty.
Opening = Callable[[Callable[[], int]], AbstractContextManager[Store]]


@contextmanager
def memory(now: Callable[[], int]) -> Iterator[Store]:
    yield Memory(now)


@contextmanager
def sqlite(now: Callable[[], int]) -> Iterator[Store]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        store = Sqlite(Path(folder) / "state.db", now)
        yield store
        store.close()


@contextmanager
def redis(now: Callable[[], int]) -> Iterator[Store]:
    store = Redis(redis_url(), now, deadline=30.0, prefix=f"{next(_numbers)}:")
    yield store
    store.close()


@contextmanager
def current_redis(now: Callable[[], int]) -> Iterator[Store]:
    store = Redis(current_redis_url(), now, deadline=30.0, prefix=f"{next(_numbers)}:")
    yield store
    store.close()


@contextmanager
def cluster(now: Callable[[], int]) -> Iterator[Store]:
    store = Cluster(cluster_url(), now, deadline=30.0, prefix=f"{next(_numbers)}:")
    yield store
    store.close()


@contextmanager
def postgresql(now: Callable[[], int]) -> Iterator[Store]:
    store = Postgresql(postgresql_url(), now, deadline=30.0)
    yield store
    with psycopg.connect(postgresql_url()) as connection:
        connection.execute("truncate policyengine_state")
    store.close()


_numbers = count()

STORES: dict[str, Opening] = {
    "memory": memory,
    "sqlite": sqlite,
    "redis": redis,
    "redis-8": current_redis,
    "cluster": cluster,
    "postgresql": postgresql,
}
