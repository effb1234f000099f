"""Every store, with a clock that a test sets. A new store is one more line in STORES, and brings no tests of its
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from policyengine.state.store import Store
from policyengine.state.stores.memory import Memory
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


STORES: dict[str, Opening] = {"memory": memory, "sqlite": sqlite}
