"""Expressions of SQLAlchemy find what the SQL text finds, on the same databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Column, Engine, MetaData, Table, Text, create_engine, func, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column

from policyengine.filters import column, json, sql
from policyengine.filters.sqlalchemy import sqlalchemy
from tests.support.filter_checks import check_corpus
from tests.support.filter_corpus import CONDITIONS, PRINCIPAL, engine
from tests.support.sql_stores import ID, JSON, TYPED, Store

Databases = Callable[[str], Store]
FILTERS = CONDITIONS[::4]


def connected(store: Store) -> Engine:
    """The database of a store, over the store's own connection."""
    dialect = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}[store.name]
    made = create_engine(f"{dialect}://", creator=lambda: store.connection, pool_reset_on_return=None)
    return made.execution_options(isolation_level="AUTOCOMMIT")


def typed_table(name: str) -> Table:
    return Table("typed", MetaData(), *(Column(each, Text) for each in TYPED[name]))


@pytest.mark.parametrize("name", ["postgresql", "sqlite"])
@pytest.mark.corpus
@pytest.mark.parametrize("condition", FILTERS)
def test_the_corpus(database: Databases, name: Any, condition: str) -> None:
    store = database(name)
    documents = Table("documents", MetaData(), Column(ID, Text), Column("value", Text))
    typed = typed_table(name)
    with connected(store).connect() as connection:

        def ask(of: Any) -> Any:
            return lambda native: sorted(connection.execute(select(of).where(native)).scalars())

        check_corpus(condition, sqlalchemy(documents, JSON, database=name), ask(documents.c[ID]), hostile=True)
        check_corpus(condition, sqlalchemy(typed, TYPED[name], database=name), ask(typed.c.id))


def asked(condition: str) -> Any:
    return engine(condition).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


class Mapped_(DeclarativeBase):
    pass


class Document(Mapped_):
    __tablename__ = "typed"
    id: Mapped[str] = mapped_column(primary_key=True)
    s: Mapped[str]
    n: Mapped[int]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    data: Mapped[Any] = mapped_column(JSONB)


def test_mapped_classes_aliases_and_other_conditions(database: Databases) -> None:
    text = sql("postgresql", columns={"id": "id", "s": "s", "n": "n", "tags": "tags", "data": json("data")})
    found = asked('doc.s == "a" and not ("z" in doc.tags) or doc.n > 7')
    store = database("postgresql")
    expected = store.ids("typed", found.to(text).native)
    assert expected
    with connected(store).connect() as connection:
        for of in (Document, aliased(Document), Document.__table__.alias("x:y%s")):
            condition = found.to(sqlalchemy(of)).native
            id_ = of.id if hasattr(of, "id") else of.c.id
            assert set(connection.execute(select(id_).where(condition)).scalars()) == expected
            both = select(func.count()).where(condition, id_ != min(expected)).where(condition | condition)
            assert connection.execute(both).scalar() == len(expected) - 1
        nothing = asked("false").to(sqlalchemy(Document)).native
        assert connection.execute(select(Document.id).where(nothing)).all() == []


def test_values_are_bound_and_never_part_of_the_text() -> None:
    condition = asked('doc.s == "it\'s" and doc.s != ":x" or doc.data.k == "%s"').to(sqlalchemy(Document)).native
    shown = str(select(Document.id).where(condition))
    assert "it's" not in shown
    assert "it's" in condition.compile().params.values()


def test_duckdb_gets_its_own_words() -> None:
    columns = {"s": column("s"), "data": json("data")}
    condition = asked('"v" in doc.data.k').to(sqlalchemy(Document, columns, database="duckdb")).native
    assert "json_extract" in str(condition)


def test_a_column_that_the_table_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="no column 'nope'"):
        sqlalchemy(Document, {"s": "nope"})
    with pytest.raises(ValueError, match="no such database"):
        sqlalchemy(Document, database="oracle")  # type: ignore[arg-type]
