"""Databases that the tests of this folder share: each is started once per process, and only if it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache

import pytest

from tests.support.filter_checks import ALL_DOCUMENTS, TYPED_DOCUMENTS, forget_corpus
from tests.support.sql_stores import PART, Store, duckdb_store, postgresql_store, sqlite_store


@pytest.fixture(scope="package", autouse=True)
def corpus() -> Iterator[None]:
    """What the stores are asked about, for all of them and no longer: more than a thousand engines."""
    yield
    forget_corpus()


_STORES = {"postgresql": postgresql_store, "sqlite": sqlite_store, "duckdb": duckdb_store}


@pytest.fixture(scope="session")
def database() -> Callable[[str], Store]:
    """The database of a name, holding the corpus as JSON in `documents`, a part of it in `part`, what is well typed in
    `typed`, and nothing in `few`."""

    @cache
    def started(name: str) -> Store:
        store = _STORES[name]()
        store.hold_json("documents", ALL_DOCUMENTS)
        store.hold_json("part", PART)
        store.hold_typed("typed", TYPED_DOCUMENTS)
        store.hold_json("few", [])
        return store

    return started
