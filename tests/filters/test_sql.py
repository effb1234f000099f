"""SQL finds exactly what `decide` allows: every condition of the corpus, and generated policies, on real databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given

from policyengine.filters import sql
from policyengine.filters.sql import Database
from tests.support.examples import half
from tests.support.filter_checks import (
    TYPED_DOCUMENTS,
    Ask,
    Combined,
    Generated,
    check,
    check_corpus,
    combined,
    generated,
)
from tests.support.filter_corpus import CONDITIONS
from tests.support.sql_stores import ID, JSON, PART, TYPED, Store

DATABASES: tuple[Database, ...] = ("postgresql", "sqlite", "duckdb")
IN_JSON = {name: sql(name, columns=JSON) for name in DATABASES}
IN_COLUMNS = {name: sql(name, columns=TYPED[name]) for name in DATABASES}
Databases = Callable[[str], Store]


def asks(store: Store, table: str, id_: str) -> Ask:
    return lambda native: sorted(store.ids(table, native, id_))


@pytest.mark.corpus
@pytest.mark.parametrize("condition", CONDITIONS)
def test_the_corpus(database: Databases, condition: str) -> None:
    for name in DATABASES:
        store = database(name)
        check_corpus(condition, IN_JSON[name], asks(store, "documents", ID), hostile=True)
        check_corpus(condition, IN_COLUMNS[name], asks(store, "typed", "id"))


@half
@given(made=combined)
def test_conditions_put_together(database: Databases, made: Combined) -> None:
    allowed, typed = made.allowed(PART), made.allowed(TYPED_DOCUMENTS)
    for name in DATABASES:
        store = database(name)
        check(made.filter, allowed, IN_JSON[name], asks(store, "part", ID), PART)
        check(made.filter, typed, IN_COLUMNS[name], asks(store, "typed", "id"), TYPED_DOCUMENTS)


@half
@given(made=generated(broken=True))
def test_generated_policies_and_documents(database: Databases, made: Generated) -> None:
    for name in DATABASES:
        store = database(name)
        store.run("DELETE FROM few", ())
        store.add_json("few", made.documents)
        check(made.filter, made.allowed, IN_JSON[name], asks(store, "few", ID), made.documents)
