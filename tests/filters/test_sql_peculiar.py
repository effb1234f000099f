"""What is peculiar to a database: each row beside the document that it is, and both asked the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine
from policyengine.filters import Field, Kind, NotExpressible, column, json, ref, sql
from policyengine.filters.sql import Database
from tests.support.filter_checks import ALL_DOCUMENTS
from tests.support.filter_corpus import PRINCIPAL, engine
from tests.support.sql_stores import ID, JSON, Store, sqlite_store_apart

DATABASES: tuple[Database, ...] = ("postgresql", "sqlite", "duckdb")
Databases = Callable[[str], Store]
ANN = {"type": "User", "id": "ann"}

TEXT_CONDITIONS = (
    'doc.s == "a"', 'doc.s != "a"', 'doc.s in ["a", "b"]', 'not (doc.s in ["a", "b"])', 'doc.s like "a*"',
    'doc.s like "*b"', 'doc.s like "a*b*c*"', 'not (doc.s like "*a*b*")', "size(doc.s) == 3", "size(doc.s) < 3",
    'doc has so and doc.so == "a"', 'not (doc has so) or doc.so != "a"', "doc.s == doc.rec.deep.c",
)  # fmt: skip
NUMBER_CONDITIONS = (
    "doc.n == 5", "doc.n != 5", "doc.n < 5", "doc.n >= 5", "doc.n in [1, 5]", "not (doc.n in [1, 5])", "doc.n > 0.5",
    "doc.x == 5", "doc.x != 5", "doc.x < 5", "doc.x >= 5", "doc.x == 0.1", "doc.x > 0.1", "doc.x < 0.1", "doc.x == 0",
    "doc.x > 1e308", "doc.x == 9007199254740993", "doc.x in [0.1, 5]", "not (doc.x in [0.1, 5])", "doc.n < doc.x",
)  # fmt: skip
SET_CONDITIONS = (
    '"a" in doc.tags', 'not ("a" in doc.tags)', 'contains_any(doc.tags, ["a", "b"])',
    'contains_all(doc.tags, ["a", "b"])', 'not contains_all(doc.tags, ["a", "b"])',
    'contains_all(["a", "b"], doc.tags)', "doc.tags == []", 'doc.tags == ["a", "b"]',
    'doc.tags != ["a", "b"]', "size(doc.tags) == 1", 'doc.names == ["a", "b"]',
    'doc.names != ["a", "b"]', "size(doc.names) == 2", "5 in doc.nums", "contains_all([1, 5], doc.nums)",
)  # fmt: skip


def asked(condition: str, kind: str = "permit") -> Any:
    return engine(condition, kind).filter(principal=PRINCIPAL, action="read", resource_type="Doc")


def agree(
    store: Store,
    name: Database,
    columns: dict[str, Any],
    table: str,
    documents: dict[str, dict[str, Any]],
    conditions: tuple[str, ...],
) -> None:
    """The table finds the documents that its rows are, for all of these conditions."""
    backend = sql(name, columns=columns, table=table)
    for condition in conditions:
        for kind in ("permit", "forbid"):
            found = asked(condition, kind)
            query = found.to(backend)
            rows = {row[0] for row in store.run(f"SELECT id FROM {table} WHERE {query.where}", query.params)}
            wanted = {id_ for id_, each in documents.items() if found.matches({"id": id_, **each})}
            assert wanted <= rows, (condition, kind, query)
            assert rows == wanted or not query.exact, (condition, kind, query)


def insert(store: Store, table: str, rows: list[tuple[Any, ...]]) -> None:
    for row in rows:
        store.run(f"INSERT INTO {table} VALUES ({', '.join([store.mark] * len(row))})", row)


# ---- texts ----


def test_postgresql_columns_with_collations_of_their_own(database: Databases) -> None:
    store = database("postgresql")
    columns = 'id text, s text COLLATE "C.utf8", so varchar COLLATE "POSIX", tags text[] COLLATE "POSIX"'
    store.run(f"CREATE TABLE collated ({columns})", ())
    texts = ["a", "A", "á", "ab", "aBc", "abc", "axbxc", "b", "", "a%b_c", "é", "e\u0301", "😀😀😀"]
    insert(store, "collated", [(f"d{i}", text, text, [text, "b"]) for i, text in enumerate(texts)])
    documents = {f"d{i}": {"s": text, "so": text, "tags": [text, "b"]} for i, text in enumerate(texts)}
    fields = {name: column(name, null="absent") for name in ("id", "s", "so", "tags")}
    agree(store, "postgresql", fields, "collated", documents, TEXT_CONDITIONS[:-1])
    agree(store, "postgresql", fields, "collated", documents, SET_CONDITIONS[:10])


def test_sqlite_texts_with_a_nul_and_values_of_other_types(database: Databases) -> None:
    store = database("sqlite")
    store.run("CREATE TABLE affine (id text, s COLLATE NOCASE, so text COLLATE RTRIM, n integer, x, data text)", ())
    values = [
        "a", "A", "a ", "a\0", "a\0b", "ab\0c", "abc", "\0", "", "5", "x\0\0y", 5, 5.5, b"a", b"abc", None, "a😀b\0c",
        "axb", "axbxc", "ab\0\0c\0",
    ]  # fmt: skip
    insert(store, "affine", [(f"d{i}", v, str(v), v, v, '{"c": "a"}') for i, v in enumerate(values)])
    documents: dict[str, dict[str, Any]] = {}
    for id_, s, so, n, x, _ in store.run("SELECT * FROM affine", ()):
        plain = {"s": s, "so": so, "n": n, "x": x, "rec": {"deep": {"c": "a"}}}
        documents[id_] = {name: v for name, v in plain.items() if v is not None}
    columns = {
        "id": "id", **{name: column(name, null="absent") for name in ("s", "so", "n", "x")},
        "rec.deep": json("data"),
    }  # fmt: skip
    agree(store, "sqlite", columns, "affine", documents, TEXT_CONDITIONS + NUMBER_CONDITIONS)


def test_a_name_that_is_no_column_is_an_error_and_no_text(database: Databases) -> None:
    query = asked('doc.s != "a"').to(sql("sqlite", columns={"s": "nope"}))
    with pytest.raises(Exception, match="no such column"):
        database("sqlite").run(f"SELECT id FROM typed WHERE {query.where}", query.params)


def test_duckdb_texts(database: Databases) -> None:
    store = database("duckdb")
    store.run("CREATE TABLE collated (id text, s text COLLATE NOCASE, so text COLLATE NOACCENT, tags text[])", ())
    texts = ["a", "A", "á", "ab", "aBc", "abc", "a\0b", "a\0b\0c", "b", "", "é", "e\u0301", "😀😀😀"]
    insert(store, "collated", [(f"d{i}", text, text, [text, "b"]) for i, text in enumerate(texts)])
    documents = {f"d{i}": {"s": text, "so": text, "tags": [text, "b"]} for i, text in enumerate(texts)}
    columns = {name: column(name, null="absent") for name in ("id", "s", "so", "tags")}
    agree(store, "duckdb", columns, "collated", documents, TEXT_CONDITIONS[:-1])
    agree(store, "duckdb", columns, "collated", documents, SET_CONDITIONS[:10])


# ---- what JSON text can hold ----

_STRANGE = (
    '{"s": "x", "s": "a", "n": 7, "n": 5, "tags": ["z"], "tags": ["a", "b"]}',
    '{"s": "a", "s": "x", "n": 5, "n": 7, "rec": {"deep": {"c": "a"}}, "rec": {"deep": 5}}',
    '{"s": "a", "\\u0073": "b", "rec": {"deep": {"c": "b"}, "deep": {"c": "x", "c": "b"}}}',
    '{"s": "a\\\\u0000", "n": -0, "x": -0.0}',
    '{"s": "\\u0061", "n": 5.0, "x": 4.9999999999999999999}',
    '{"s": "a\\n", "n": 5e0, "x": 0.1000000000000000055511151231257827}',
    '{"s": "\\ud83d\\ude00b", "n": 100000000000000000000, "x": 0.09999999999999999}',
    '{"s": "abc", "n": 9223372036854775807, "x": 1.7976931348623157e308, "tags": ["a", "a"]}',
    '{"s": ["a"], "n": "5", "x": 1e-400, "tags": "a", "names": {"0": "a", "1": "b"}, "nums": [5, 5.0]}',
    '{"s": {"0": "a"}, "n": 9007199254740993, "x": 9007199254740993, "names": ["a", "b"], "nums": [5]}',
    '{"": "a", "s ": "a", "S": "a", "$.s": "a", "s.t": 1, "names": ["b", "a"], "nums": [1, 1]}',
    '[{"s": "a"}]', '"a"', "null", "5", "{}", '{"x": 2.4703282292062328e-324}', '{"x": 5.0000000000000004}',
    '{"tags": [["a"]], "names": [null], "nums": [true]}', '{"tags": {"a": "a"}, "n": true, "x": false}',
)  # fmt: skip
# What PostgreSQL refuses to hold.
_MORE = ('{"s": "a\\u0000", "\\u0000": 1, "s\\u0000": "a"}', '{"s": "a\\u0000b", "tags": ["a\\u0000", "a"]}')


@pytest.mark.parametrize("name", DATABASES)
def test_json_text_as_readers_read_it(database: Databases, name: Database) -> None:
    import json as json_text

    store = database(name)
    texts = _STRANGE if name == "postgresql" else _STRANGE + _MORE
    store.run(f"CREATE TABLE strange (id text, value {store.json_type})", ())
    insert(store, "strange", [(f"d{i}", text) for i, text in enumerate(texts)])
    # PostgreSQL makes `5` of `5e0`, so what it holds is what counts.
    read = {id_: json_text.loads(text) for id_, text in store.run("SELECT id, CAST(value AS text) FROM strange", ())}
    # What is not an object is not a document.
    documents = {id_: each for id_, each in read.items() if isinstance(each, dict)}
    columns = {"id": "id", "*": json("value", names="checked")}
    agree(store, name, columns, "strange", documents, TEXT_CONDITIONS + NUMBER_CONDITIONS + SET_CONDITIONS)


def test_sqlite_text_that_is_no_json_finds_nothing(database: Databases) -> None:
    store = database("sqlite")
    store.run("CREATE TABLE broken (id text, value)", ())
    insert(store, "broken", [("d0", "{"), ("d1", '{"s": "a"'), ("d2", "nul"), ("d3", "[1,]")])
    for condition in ('doc.s == "a"', 'doc.s != "a"', "doc.n < 5", "doc.tags == []", "not (doc has so)"):
        query = asked(condition).to(sql("sqlite", columns={"id": "id", "*": json("value", names="checked")}))
        assert store.run(f"SELECT id FROM broken WHERE {query.where}", query.params) == []


# ---- numbers, times and arrays in columns ----


@pytest.mark.parametrize(("name", "double"), [("postgresql", "double precision"), ("duckdb", "DOUBLE")])
def test_numbers_that_are_none(database: Databases, name: Database, double: str) -> None:
    store = database(name)
    store.run(f"CREATE TABLE numbers (id text, n integer, x {double})", ())
    values = [5.0, 0.1, -0.0, 4.999999999999999, 2.0**53, 1.7e308, float("nan"), float("inf"), float("-inf"), None]
    insert(store, "numbers", [(f"d{i}", 5, x) for i, x in enumerate(values)])
    documents = {f"d{i}": {"n": 5, "x": x} if x is not None else {"n": 5} for i, x in enumerate(values)}
    columns = {"id": "id", "n": column("n", null="absent"), "x": column("x", null="absent")}
    agree(store, name, columns, "numbers", documents, NUMBER_CONDITIONS)
    # Integers may stand in a Number's column too.
    store.run("CREATE TABLE whole (id text, n bigint, x bigint)", ())
    whole = [5, 0, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
    insert(store, "whole", [(f"d{i}", x, x) for i, x in enumerate(whole)])
    agree(store, name, columns, "whole", {f"d{i}": {"n": x, "x": x} for i, x in enumerate(whole)}, NUMBER_CONDITIONS)


@pytest.mark.parametrize(("name", "single"), [("postgresql", "real"), ("duckdb", "FLOAT")])
def test_numbers_of_single_precision(database: Databases, name: Database, single: str) -> None:
    store = database(name)
    store.run(f"CREATE TABLE single (id text, x {single})", ())
    values = {f"d{i}": x for i, x in enumerate([0.5, 2.0**24 - 1, 2.0**24, 2.0**24 + 2, 2.0**60])}
    insert(store, "single", list(values.items()))
    constants = ("0.5", "0.1", *(str(2**24 + i) for i in range(-1, 3)), str(2**51 + 1))
    conditions = tuple(f"doc.x {op} {constant}" for op in ("==", "!=", "<", ">=") for constant in constants)
    agree(store, name, {"x": "x"}, "single", {id_: {"x": x} for id_, x in values.items()}, conditions)


@pytest.mark.parametrize("name", ["postgresql", "duckdb"])
def test_times(database: Databases, name: Database) -> None:
    store = database(name)
    store.run('CREATE TABLE times (id text, "at" timestamptz)', ())
    times = ["2026-01-01T00:00:00Z", "2025-12-31T23:59:59.999999Z", "2026-01-01T01:00:00+01:00", "9999-12-31T23:59:59Z"]
    insert(store, "times", [(f"d{i}", text) for i, text in enumerate(times)])
    insert(store, "times", [("i", "infinity"), ("-i", "-infinity"), ("n", None)])
    before = {"duckdb": "'0044-03-15 (BC) 00:00:00+00'", "postgresql": "'0044-03-15 00:00:00+00 BC'"}[name]
    store.run(f"INSERT INTO times VALUES ('bc', {before})", ())
    documents: dict[str, dict[str, Any]] = {f"d{i}": {"at": text} for i, text in enumerate(times)}
    documents |= {"i": {"at": "infinity"}, "-i": {"at": "-infinity"}, "n": {}, "bc": {"at": "-0044-03-15T00:00:00Z"}}
    moment = 'time("2026-01-01T00:00:00Z")'
    conditions = tuple(f"doc.at {op} {moment}" for op in ("==", "!=", "<", "<=", ">", ">="))
    agree(store, name, {"id": "id", "at": column("at", null="absent")}, "times", documents, conditions)


def test_postgresql_arrays_of_every_shape(database: Databases) -> None:
    store = database("postgresql")
    store.run("CREATE TABLE arrays (id text, tags text[], names varchar[], nums integer[])", ())
    shapes: dict[str, tuple[str, Any]] = {
        "plain": ("ARRAY['a','b']", ["a", "b"]), "null": ("ARRAY['a',NULL]", ["a", None]),
        "only null": ("ARRAY[NULL]::text[]", [None]), "empty": ("'{}'", []),
        "nested": ("ARRAY[['a','b']]", [["a", "b"]]),
        "elsewhere": ("'[5:6]={a,b}'", ["a", "b"]), "twice": ("ARRAY['a','a']", ["a", "a"]), "none": ("NULL", None),
        "deep null": ("ARRAY[['a',NULL]]", [["a", None]]),
    }  # fmt: skip
    documents: dict[str, dict[str, Any]] = {}
    for id_, (text, value) in shapes.items():
        store.run(f"INSERT INTO arrays VALUES (%s, {text}, {text}, '{{5,1}}')", (id_,))
        documents[id_] = {"nums": [5, 1]} if value is None else {"tags": value, "names": value, "nums": [5, 1]}
    columns = {name: column(name, null="absent") for name in ("id", "tags", "names", "nums")}
    agree(store, "postgresql", columns, "arrays", documents, SET_CONDITIONS)


def test_duckdb_lists_with_nulls(database: Databases) -> None:
    store = database("duckdb")
    store.run("CREATE TABLE arrays (id text, tags text[], names text[], nums integer[])", ())
    lists: list[Any] = [["a", "b"], ["a", None], [None], [], ["a", "a"], ["b", "a"], ["A"], None]
    insert(store, "arrays", [(f"d{i}", each, each, [5, 1]) for i, each in enumerate(lists)])
    documents: dict[str, dict[str, Any]] = {
        f"d{i}": {"nums": [5, 1]} if each is None else {"tags": each, "names": each, "nums": [5, 1]}
        for i, each in enumerate(lists)
    }
    columns = {name: column(name, null="absent") for name in ("id", "tags", "names", "nums")}
    agree(store, "duckdb", columns, "arrays", documents, SET_CONDITIONS)


# ---- NULL ----


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("null", ["absent", "null", None])
def test_what_a_null_is(database: Databases, name: Database, null: Any) -> None:
    store = database(name)
    store.run(f"CREATE TABLE IF NOT EXISTS nulls (id text, so text, data {store.json_type}, oo text)", ())
    store.run("DELETE FROM nulls", ())
    insert(store, "nulls", [("d0", "a", '"a"', "ann"), ("d1", None, None, None), ("d2", "b", "null", "bob")])
    full: dict[str, Any] = {"so": "a", "data": "a", "oo": ANN}
    readings: list[dict[str, Any]] = [{}, {"so": None, "data": None, "oo": None}]
    if null is not None:
        readings = [readings[null == "null"]]
    columns = {
        "id": "id", "so": column("so", null=null), "data": Field("data", json=True, null=null),
        "oo": ref("oo", "User", null=null),
    }  # fmt: skip
    conditions = (
        "doc has so", "not (doc has so)", 'doc has so and doc.so != "a"', 'not (doc has so) or doc.so != "a"',
        "doc.data == null", 'doc.data != "a"', "doc.data != null", "not (doc has oo) or doc.oo != principal",
        "doc has oo", 'doc.data == "a"',
    )  # fmt: skip
    for reading in readings:
        documents = {"d0": full, "d1": reading, "d2": {"so": "b", "data": None, "oo": {"type": "User", "id": "bob"}}}
        agree(store, name, columns, "nulls", documents, conditions)


# ---- the query as a whole ----


@pytest.mark.parametrize("name", DATABASES)
def test_always_and_never(database: Databases, name: Database) -> None:
    store = database(name)
    backend = sql(name, columns=JSON)
    always, never = asked("true").to(backend), asked("false").to(backend)
    assert (always.kind, never.kind) == (Kind.ALWAYS, Kind.NEVER)
    everything = {each["id"] for each in ALL_DOCUMENTS if each.get("type", "Doc") == "Doc"}
    assert store.ids("documents", always.native, ID) == everything
    assert store.ids("documents", never.native, ID) == set()
    assert always.exact
    assert never.exact


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_principals_with_many_groups(database: Databases, name: Database, count: int) -> None:
    store = database(name)
    groups = [{"type": "Group", "id": f"g{i}"} for i in range(count)]
    whole = Engine.from_text("""module docs
entity Group {}
entity User { groups: Set<Group>, names: Set<String>, numbers: Set<Int> }
entity Doc { allowed: Set<Group>, group: Group, name: String, n: Int }
action read on Doc for User
permit shared: read on Doc when contains_any(doc.allowed, principal.groups)
permit own: read on Doc when doc.group in principal.groups or doc.name in principal.names
permit level: read on Doc when doc.n in principal.numbers
""")
    ann = {**ANN, "groups": groups, "names": [f"n{i}" for i in range(count)], "numbers": list(range(count))}
    found = whole.filter(principal=ann, action="read", resource_type="Doc")
    documents = [
        {"id": f"{g}", "allowed": [{"type": "Group", "id": f"g{g}"}], "group": {"type": "Group", "id": f"g{g}"},
         "name": f"n{g}", "n": g}
        for g in (0, 1, 9_999, 10_000)
    ]  # fmt: skip
    store.run("DELETE FROM few", ())
    store.add_json("few", documents)
    query = found.to(sql(name, columns=JSON))
    assert store.ids("few", query.native, ID) == {each["id"] for each in documents if int(each["id"]) < count}
    store.run("DELETE FROM few", ())


@pytest.mark.parametrize("name", DATABASES)
def test_conditions_with_many_alternatives(database: Databases, name: Database) -> None:
    store = database(name)
    if name == "sqlite":
        store = sqlite_store_apart()
        store.hold_json("few", [])
    rules = "".join(f'permit r{i}: read on Doc when doc.s == "s{i}" and doc.n == {i}\n' for i in range(1_500))
    made = Engine.from_text(
        "module docs\nentity User {}\nentity Doc { s: String, n: Int }\naction read on Doc for User\n" + rules
    )
    query = made.filter(principal=ANN, action="read", resource_type="Doc").to(sql(name, columns=JSON), exact=True)
    store.run("DELETE FROM few", ())
    store.add_json("few", [{"id": f"d{i}", "s": f"s{i}", "n": i} for i in (0, 700, 1_499, 1_500)])
    assert store.ids("few", query.native, ID) == {"d0", "d700", "d1499"}
    store.run("DELETE FROM few", ())


def test_a_name_below_one_that_may_be_missing() -> None:
    for null in ("absent", "null", None):
        backend = sql("sqlite", columns={"rec.b": column("b", null=null)})  # type: ignore[arg-type]
        assert asked("doc.rec has b").to(backend).exact is (null == "absent")
        assert not asked("not (doc.rec has b)").to(backend).exact


@pytest.mark.parametrize("name", DATABASES)
def test_names_that_are_hard_to_quote(database: Databases, name: Database) -> None:
    store = database(name)
    table = store.quoted('a "table`; --')
    for each in ('s"', "s`", "s'; DROP TABLE typed; --", "%s", "?", ":p0", "$1", "_e", "v", "value", "type", "s\\"):
        store.run(f"CREATE TABLE {table} ({store.quoted(each).replace('%', store.percent)} text)", ())
        insert(store, table, [("a",), ("b",), (None,)])
        for condition, expected in (('doc.s == "a"', 1), ('doc.s != "a"', 1), ('doc.s like "*a*b*"', 0)):
            for alias in (None, "_e", 'x"`y'):
                query = asked(condition).to(sql(name, columns={"s": each}, table=alias))
                after = "" if alias is None else f"AS {store.quoted(alias)} "
                found = store.run(f"SELECT count(*) FROM {table} {after}WHERE {query.where}", query.params)
                assert found == [(expected,)], (each, condition, alias)
        store.run(f"DROP TABLE {table}", ())


@pytest.mark.parametrize("name", DATABASES)
def test_keys_that_are_hard_to_quote(database: Databases, name: Database) -> None:
    store = database(name)
    for key in ('s"', "s'", "a.b", "$", "*", "0", "[0]", "", "%s", "?", ":p0", "\\", "é", "s\\u0073", "a/b", "~1"):
        store.run("DELETE FROM few", ())
        store.add_json("few", [{"id": "d1", key: "a"}, {"id": "d2", key: "b"}, {"id": "d3", "s": "a"}])
        columns = {"id": column(ID), "s": json("value", key)}
        query = asked('doc.s == "a"').to(sql(name, columns=columns), exact=True)
        assert store.ids("few", query.native, ID) == {"d1"}, key
    store.run("DELETE FROM few", ())


def test_every_paramstyle() -> None:
    found = asked('doc.s == "a%"')
    columns = {"s": "100%"}
    shown = {
        style: found.to(sql("postgresql", columns=columns, paramstyle=style))
        for style in ("format", "pyformat", "qmark", "named", "numeric")
    }  # fmt: skip
    assert {style: query.where.partition("CAST(")[2].partition(" ")[0] for style, query in shown.items()} == {
        "format": "%s", "pyformat": "%(p0)s", "qmark": "?", "named": ":p0", "numeric": "$1",
    }  # fmt: skip
    assert shown["format"].params == ["a%", "a%"]
    assert shown["named"].params == {"p0": "a%", "p1": "a%"}
    assert '"100%%"' in shown["format"].where
    assert '"100%"' in shown["qmark"].where


@pytest.mark.parametrize(("name", "style"), [("sqlite", "named"), ("sqlite", "numeric"), ("duckdb", "named"),
                                             ("duckdb", "numeric"), ("postgresql", "pyformat")])  # fmt: skip
def test_paramstyles_that_drivers_take(database: Databases, name: Database, style: Any) -> None:
    query = asked('doc.s in ["a", "b"] and doc.n > 4').to(sql(name, columns=JSON, paramstyle=style))
    usual = asked('doc.s in ["a", "b"] and doc.n > 4').to(sql(name, columns=JSON))
    store = database(name)
    assert store.ids("documents", query.native, ID) == store.ids("documents", usual.native, ID) != set()


def test_what_cannot_be_asked_is_refused_by_name() -> None:
    with pytest.raises(NotExpressible, match="PostgreSQL cannot express") as refused:
        asked('lower(doc.s) == "a" and doc.n == 5').to(sql("postgresql", columns=JSON), exact=True)
    assert [each.span.text for each in refused.value.diagnostics] == ['lower(doc.s) == "a"']
    with pytest.raises(NotExpressible) as refused:
        asked("doc.n == 5").to(sql("postgresql", columns={"s": "s"}), exact=True)
    assert [each.span.text for each in refused.value.diagnostics] == ["doc.n == 5"]


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="no such database"):
        sql("oracle", columns={})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no such paramstyle"):
        sql("sqlite", columns={}, paramstyle="x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a name in SQL"):
        sql("sqlite", columns={"s": "a\0b"})
    with pytest.raises(ValueError, match="a name in SQL"):
        sql("sqlite", columns={}, table="")


def test_texts_that_no_database_takes_are_looked_at_afterwards() -> None:
    for text in ("a\0b", "\ud800"):
        made = engine("doc.s == principal.s")
        found = made.filter(principal={**PRINCIPAL, "s": text}, action="read", resource_type="Doc")
        for name in DATABASES:
            query = found.to(sql(name, columns=JSON))
            assert not query.exact
            assert text not in query.params


@pytest.mark.parametrize(("depth", "exact"), [(10, True), (21, False)])
def test_deeply_nested_conditions_are_read_by_sqlite(database: Databases, depth: int, exact: bool) -> None:
    """What is nested deeper than its parser reads is asked for too generously, and rechecked."""
    condition = 'doc.data.k0 == "x"'
    for level in range(1, depth):
        condition = f'doc.data.k{level} == "x" {"or" if level % 2 else "and"} ({condition})'
    query = asked(condition).to(sql("sqlite", columns=JSON))
    assert query.exact is exact
    found = database("sqlite").ids("documents", query.native, ID)
    assert not exact or found == set()


NOT_OBJECTS = ('"{\\"so\\": \\"a\\"}"', '[{"so": "a"}]', "null", "5", '"a"')


@pytest.mark.parametrize("name", DATABASES)
def test_json_that_is_no_object_is_no_document(database: Databases, name: Database) -> None:
    """Text that was encoded twice is not a document without attributes: what a forbid looks for may be inside."""
    store = database(name)
    whole, inside = f"not_objects_{name}", f"not_objects_inside_{name}"
    for table in (whole, inside):
        store.run(f"CREATE TABLE {table} (id text, value {store.json_type})", ())
    rows = {"empty": "{}", **{f"odd{number}": text for number, text in enumerate(NOT_OBJECTS)}}
    for id_, text in rows.items():
        values = (store.mark, store.mark)
        store.run(f"INSERT INTO {whole} VALUES ({', '.join(values)})", (id_, text))
        store.run(f"INSERT INTO {inside} VALUES ({', '.join(values)})", (id_, f'{{"attrs": {text}}}'))
    store.run(f"INSERT INTO {inside} VALUES ({store.mark}, {store.mark})", ("none", "{}"))
    # Of all that is not named; an attribute that has a place of its own is just not there.
    for table, place, found_of in (
        (whole, json("value", names="checked"), {"empty"}),
        (inside, json("value", "attrs", names="checked"), {"empty", "none"}),
    ):
        backend = sql(name, columns={"id": "id", "type": json("value", "type"), "*": place}, table=table)
        for condition, kind in (("doc has so", "forbid"), ("not (doc has so)", "permit")):
            query = asked(condition, kind).to(backend)
            assert query.exact
            assert store.ids(table, query) == found_of, (condition, query)
