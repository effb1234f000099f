"""PostgreSQL alone: what its planner makes of filters, and texts that compare by rules of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from psycopg import DataError, ProgrammingError, errors

from policyengine.filters import Field, column, json, sql
from tests.filters.test_sql_peculiar import SET_CONDITIONS, TEXT_CONDITIONS, agree, asked, insert
from tests.support.sql_stores import Store

Databases = Callable[[str], Store]


@pytest.fixture(scope="module")
def store(database: Databases) -> Store:
    """A table `planned` that is large enough for its indexes, with every condition cheap to look at and none alike."""
    store = database("postgresql")
    store.run('CREATE TABLE planned (id text, s text, so text COLLATE "C", n bigint, tags text[], data jsonb)', ())
    row = "'d' || i, 's' || i %% 1000, 's' || i %% 1000, i %% 7, ARRAY['t' || i %% 1000, 'u']"
    data = f"SELECT id, s, so, n, tags, to_jsonb(_r) FROM (SELECT {row} FROM generate_series(1, 20000) AS i)"
    store.run(f"INSERT INTO planned {data} AS _r(id, s, so, n, tags)", ())
    for indexed in ("(s)", "(so)", "USING gin (tags)", "USING gin (data jsonb_path_ops)", "((data ->> 'so'))"):
        store.run(f"CREATE INDEX ON planned {indexed}", ())
    store.run("VACUUM ANALYZE planned", ())
    return store


COLUMNS: dict[str, str | Field] = {name: column(name, null="absent") for name in ("id", "s", "so", "n", "tags")}
IN_JSON: dict[str, str | Field] = {"id": "id", "*": json("data", names="checked")}


def plan(store: Store, condition: str, columns: dict[str, str | Field]) -> str:
    query = asked(condition).to(sql("postgresql", columns=columns), exact=True)
    return "\n".join(row[0] for row in store.run(f"EXPLAIN SELECT id FROM planned WHERE {query.where}", query.params))


IN_EITHER = (
    'doc.s == "s1"', '"t1" in doc.tags', 'contains_all(doc.tags, ["t1", "u"])', 'doc.s == "s1" or "t1" in doc.tags',
    'doc has so and doc.so == "s1"', 'doc has so and doc.so in ["s1", "s2"]',
)  # fmt: skip


@pytest.mark.parametrize("condition", [*IN_EITHER, 'doc.s in ["s1", "s2"]'])
def test_an_index_of_a_column_is_used(store: Store, condition: str) -> None:
    assert "Index Cond" in plan(store, condition, COLUMNS)


@pytest.mark.parametrize("condition", IN_EITHER)
def test_an_index_of_a_json_column_is_used(store: Store, condition: str) -> None:
    assert "Index Cond" in plan(store, condition, IN_JSON)


@pytest.mark.parametrize(
    ("condition", "by_hand"),
    [
        ('doc.s == "s1"', "s = 's1'"),
        ('doc.s in ["s1", "s2", "s3"]', "s = ANY (ARRAY['s1', 's2', 's3'])"),
        ('doc.s == "s1" and doc.n <= 3', "s = 's1' AND n <= 3"),
        ('"u" in doc.tags', "tags @> ARRAY['u']"),
    ],
)
def test_the_planner_expects_about_as_many_rows_as_by_hand(store: Store, condition: str, by_hand: str) -> None:
    """With too few, it sorts all that it finds rather than to walk along an index until there are enough."""
    expected = _rows("\n".join(row[0] for row in store.run(f"EXPLAIN SELECT id FROM planned WHERE {by_hand}", ())))
    assert 0.9 * expected <= _rows(plan(store, condition, COLUMNS)) <= expected


def _rows(shown: str) -> int:
    return int(shown.partition("rows=")[2].partition(" ")[0])


def test_arrays_are_looked_into_last(store: Store) -> None:
    condition = 'not ("t2" in doc.tags) and (doc.n <= 3 or doc has so and doc.so == "s2") and doc.s == "s1"'
    shown = plan(store, condition, COLUMNS)
    assert shown.index("n <= '3'") < shown.index("so = 's2'") < shown.index("'{t2}'") < shown.index("array_ndims")


def test_no_row_pays_for_the_types_of_its_columns(store: Store) -> None:
    """What is written so that a column of another type is an error is nothing that the planner leaves in its plan."""
    condition = 'doc.s == "s1" and (doc.n <= 3 or "t2" in doc.tags or not ("t3" in doc.tags)) and doc.s != "a"'
    query = asked(condition).to(sql("postgresql", columns=COLUMNS), exact=True)
    shown = plan(store, condition, COLUMNS)
    for in_query, in_plan in ((">= ''", "''"), ("| 0", "|"), ("[1]", "[1]")):
        assert in_query in query.where
        assert in_plan not in shown


# Not every build of the server has these. With them, texts are equal that differ in case.
_EQUAL_IN_CASE = {
    "collation": ("CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
                  "text COLLATE blind", "text[] COLLATE blind"),
    "citext": ("CREATE EXTENSION citext", "citext", "citext[]"),
}  # fmt: skip


@pytest.mark.parametrize("way", _EQUAL_IN_CASE)
def test_texts_that_are_equal_without_being_the_same(database: Databases, way: str) -> None:
    store = database("postgresql")
    made, text, array = _EQUAL_IN_CASE[way]
    try:
        store.run(made, ())
    except (errors.FeatureNotSupported, errors.UndefinedFile) as error:
        pytest.skip(str(error).splitlines()[0])
    store.run(f"CREATE TABLE blind (id text, s {text}, so {text}, tags {array}, names {array})", ())
    texts = ["a", "A", "á", "Á", "ab", "aBc", "abc", "ABC", "b", "B", "", "é", "e\u0301"]
    insert(store, "blind", [(f"d{i}", text, text, [text, "b"], [text, "b"]) for i, text in enumerate(texts)])
    documents: dict[str, dict[str, Any]] = {
        f"d{i}": {"s": text, "so": text, "tags": [text, "b"], "names": [text, "b"]} for i, text in enumerate(texts)
    }
    columns = {name: column(name, null="absent") for name in ("id", "s", "so", "tags", "names")}
    for choice in ("", "CREATE INDEX ON blind (s)", "SET enable_seqscan = off"):
        if choice:
            store.run(choice, ())
        agree(store, "postgresql", columns, "blind", documents, TEXT_CONDITIONS[:-1] + SET_CONDITIONS[:13])
    store.run("RESET enable_seqscan", ())
    store.run("DROP TABLE blind", ())


def test_a_column_of_another_type_is_refused_and_never_read_as_text(database: Databases) -> None:
    store = database("postgresql")
    for type_, value in (("integer", "5"), ("uuid", "'0b5d5a5e-0000-4000-8000-000000000000'"), ("boolean", "true")):
        store.run(f"CREATE TABLE other (id text, s {type_})", ())
        store.run(f"INSERT INTO other VALUES ('d1', {value})", ())
        for condition in (
            'doc.s == "a"',
            'doc.s != "a"',
            'not (doc.s in ["a", "b"])',
            'doc.s like "a*"',
            "size(doc.s) < 9",
        ):
            query = asked(condition).to(sql("postgresql", columns={"s": "s"}))
            with pytest.raises((errors.UndefinedFunction, errors.DatatypeMismatch)):
                store.run(f"SELECT id FROM other WHERE {query.where}", query.params)
        store.run("DROP TABLE other", ())


_SCALARS = ("integer", "bigint", "double precision", "numeric", "boolean", "uuid", "timestamptz", "jsonb", "inet")
_OTHER_TYPES = [
    *((f"doc.s {compared}", ("text[]", "integer[]", "bytea", "bit(8)", *_SCALARS))
      for compared in ('== "a"', '!= "a"', 'in ["a", "b"]', 'like "a*"')),
    *((f"doc.n {compared}", ("text", "bigint[]", "bytea", "bit(8)", *_SCALARS[2:]))
      for compared in ("== 1", "!= 1", "<= 3", "in [1, 2]")),
    *((flag, ("text", "boolean[]", *_SCALARS[:4], *_SCALARS[5:])) for flag in ("doc.flag", "not doc.flag")),
    *((asked, ("integer[]", "numeric[]", "boolean[]", "uuid[]", "text", *_SCALARS))
      for asked in ('"a" in doc.tags', 'not ("a" in doc.tags)', "size(doc.tags) > 1")),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "types"), _OTHER_TYPES, ids=[condition for condition, _ in _OTHER_TYPES])
def test_a_column_of_another_type_is_refused_before_any_row_is_read(
    database: Databases, condition: str, types: tuple[str, ...]
) -> None:
    store = database("postgresql")
    name = condition.partition("doc.")[2].split()[0].strip(")")
    query = asked(condition).to(sql("postgresql", columns={name: column(name, null="absent")}))
    for type_ in types:
        store.run(f"CREATE TABLE empty (id text, {name} {type_})", ())
        try:
            with pytest.raises((ProgrammingError, DataError)):
                store.run(f"SELECT id FROM empty WHERE {query.where}", query.params)
        finally:
            store.run("DROP TABLE empty", ())
