"""What holds of every store: it finds what may be seen, says whether that is all that it finds, and takes every query.

The rows are few and chosen to tell apart what mappings, sizes and types confuse. What is peculiar to one store has a
test of its own beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from json import dumps
from typing import Any

import pytest

from policyengine import Engine
from policyengine.filters import Field, Filter, column, json, ref
from policyengine.integrations import attributes
from tests.support.filter_checks import check
from tests.support.stores import STORES, Kinds, Mapped, Row

SCHEMA = """
module contract
entity User { teams: Set<String>, name: String }
entity Folder
entity Other
entity Doc in Folder, Other {
  s?: String, t?: String, n?: Int, x?: Number, flag?: Bool, tags?: Set<String>, nums?: Set<Int>,
  meta?: { level: Int, other?: String, deep?: { mark?: String } },
  extra?: Json, owner?: User
}
action read on Doc for User
"""
ANN: dict[str, Any] = {"type": "User", "id": "ann", "name": "ann", "teams": ["a", "b"]}


@cache
def asked(rules: str) -> tuple[Engine, Filter]:
    engine = Engine.from_text(SCHEMA + rules)
    return engine, engine.filter(principal=ANN, action="read", resource_type="Doc")


class Table:
    """Rows in a store, and the documents that they are by a mapping."""

    def __init__(self, name: str, rows: Sequence[Row], kinds: Kinds) -> None:
        self.store = STORES[name]()
        assert set(kinds.values()) <= self.store.kinds
        self._rows = [
            {n: dumps(v) if self.store.texts and kinds[n] == "json" else v for n, v in row.items()} for row in rows
        ]
        self._kinds = kinds
        self._ask = self.store.hold(rows, kinds)

    def documents(self, columns: Mapped) -> list[Row]:
        read = attributes(columns=columns, json="text" if self.store.texts else "values")
        found = [read(row) for row in self._rows]
        assert None not in found
        return [dict(document) for document in found if document is not None]

    def check(self, rules: str, columns: Mapped, documents: list[Row]) -> bool:
        """The store finds what may be seen, or that and more and says so: which of the two is returned."""
        engine, found = asked(rules)
        requests = [{"principal": ANN, "action": "read", "resource": {"type": "Doc", **each}} for each in documents]
        allowed = [d["id"] for d, answer in zip(documents, engine.decide_many(requests), strict=True) if answer.allowed]
        return check(found, allowed, self.store.backend(columns, self._kinds), self._ask, documents)


# ---- records whose parts are mapped apart ----

PARTS = (
    "not (doc has meta) or doc.meta.level <= 3",
    "doc has meta and doc.meta.level <= 3",
    "doc has meta",
    "not (doc has meta)",
    "doc has meta and doc.meta has other",
    "not (doc has meta and doc.meta has other)",
    "doc has meta and not (doc.meta has other)",
    'doc has meta and doc.meta has other and doc.meta.other == "x"',
    "doc has meta and doc.meta has deep",
    "doc has meta and not (doc.meta has deep)",
    "doc has meta and doc.meta has deep and not (doc.meta.deep has mark)",
    "doc has meta and doc.meta has deep and doc.meta.deep has mark",
    'doc has extra and doc.extra != "x"',
    'doc has extra and doc.extra == "x"',
    "doc has extra and doc.extra == null",
    "doc has extra and doc.extra == []",
    "doc has extra and doc.extra != null",
    "doc has extra and doc.extra has level",
    "doc has extra and not (doc.extra has level)",
    "doc has extra and not (doc.extra has other)",
    "doc has extra and doc.extra has level and doc.extra.level == 9",
    "not (doc has extra)",
    "doc has owner and doc.owner == principal",
    "doc has owner and doc.owner != principal",
    "doc has owner and doc.owner in [principal]",
    "not (doc has owner)",
    'doc has owner and doc.owner.id == "ann"',
    'doc has owner and doc.owner.id != "ann"',
)  # fmt: skip
SPLIT: tuple[dict[str, str | Field], ...] = (
    {"meta.level": column("level", null="absent"), "meta.deep.mark": column("mark", null="absent")},
    {"meta.level": column("level", null="null"), "meta.deep": json("side", "deep")},
    {"meta.level": json("side", "level"), "meta.deep": json("side", "deep"),
     "meta.deep.mark": json("side", "deep", "mark")},
    {"extra.level": column("level", null="absent"), "extra.kind": json("side", "kind")},
    {"owner.id": column("mark", null="absent")},
    {"owner.type": json("side", "type"), "owner.id": column("mark", null="absent")},
)  # fmt: skip
DATA: tuple[Any, ...] = (
    {}, {"meta": {}}, {"meta": {"level": 1}}, {"meta": {"level": 9, "other": "x"}}, {"meta": {"deep": {}}},
    {"meta": {"deep": {"mark": "m"}}}, {"meta": "x"}, {"meta": None}, {"extra": "x"}, {"extra": None}, {"extra": []},
    {"extra": {"level": 9}}, {"extra": {}}, {"owner": {"type": "User", "id": "ann"}}, {"owner": {"type": "User"}},
    {"owner": {"id": "ann"}}, {"owner": "x"},
)  # fmt: skip
SIDES: tuple[Any, ...] = ({}, {"level": 9, "kind": "x"}, {"deep": {}}, {"deep": {"mark": "m"}, "type": "User"})
KINDS = {"id": "text", "level": "int", "mark": "text", "side": "json", "data": "json"}
ROWS = [
    {"id": f"r{at}-{to}", "level": level, "mark": mark, "side": SIDES[(at + to) % len(SIDES)], "data": data}
    for at, (level, mark) in enumerate([(None, None), (1, None), (9, None), (None, "ann"), (9, "m")])
    for to, data in enumerate(DATA)
]
JSON_STORES = ("sqlite", "duckdb", "postgresql", "sqlalchemy", "mongodb", "qdrant")


@cache
def records(name: str) -> Table:
    return Table(name, ROWS, KINDS)


@pytest.mark.parametrize("name", JSON_STORES)
@pytest.mark.parametrize("split", SPLIT, ids=lambda split: ",".join(split))
@pytest.mark.parametrize("whole", ["the rest", "named", "nowhere"])
def test_a_record_is_there_if_any_of_its_parts_is(name: str, split: dict[str, str | Field], whole: str) -> None:
    columns: dict[str, str | Field] = {"id": "id", **split}
    if name in ("mongodb", "qdrant") and any(isinstance(p, Field) and p.null == "null" for p in split.values()):
        # Payloads say of themselves what is null.
        columns["meta.level"] = column("level", null="absent")
    if whole == "the rest":
        columns["*"] = json("data", names="checked")
    if whole == "named":
        columns |= {name: json("data", name, names="checked") for name in ("meta", "extra", "owner")}
    table = records(name)
    documents = table.documents(columns)
    for condition in PARTS:
        table.check(f"permit p: read on Doc when {condition}\n", columns, documents)


# ---- columns of another type than the attribute ----

OTHERS: dict[str, tuple[Any, ...]] = {
    "text": ("", "5", "true", "x", "1"), "int": (0, 1, 5, -1, 7), "float": (5.0, 5.5, 0.0, 1.0, -1.5),
    "bool": (True, False), "texts": ([], ["5"], ["x", "5"]), "ints": ([], [5], [5, 1]),
}  # fmt: skip
TYPES = {
    "s": ('doc.s == "5"', 'doc.s != "5"', 'doc.s like "*5"', "size(doc.s) >= 0", 'doc.s in ["5", "x"]'),
    "n": ("doc.n == 5", "doc.n != 5", "doc.n > 4", "doc.n in [5, 1]", "not (doc.n in [5, 1])", "doc.n == doc.n"),
    "x": ("doc.x == 5", "doc.x != 5", "doc.x > 4.5", "doc.x in [5, 1]", "not (doc.x in [5, 1])", "doc.x == doc.x"),
    "flag": ("doc.flag", "not doc.flag", "doc.flag == doc.flag"),
    "tags": ('"5" in doc.tags', 'not ("5" in doc.tags)', "size(doc.tags) >= 0", 'doc.tags == ["5"]'),
    "nums": ("5 in doc.nums", "not (5 in doc.nums)", "size(doc.nums) >= 0", "doc.nums == [5]"),
}
OWN = {"s": "text", "n": "int", "x": "float", "flag": "bool", "tags": "texts", "nums": "ints"}
TABLES = ("sqlite", "duckdb", "postgresql", "sqlalchemy", "arrow", "polars", "lancedb")


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", OTHERS)
def test_a_column_of_another_type_holds_no_value_of_the_attribute(name: str, kind: str) -> None:
    """It may also be refused by the store, which then finds nothing at all."""
    if kind not in STORES[name]().kinds:
        return
    rows: list[Row] = [{"id": f"r{at}", "c": value} for at, value in enumerate((*OTHERS[kind], None))]
    table = Table(name, rows, {"id": "text", "c": kind})
    for attribute, conditions in TYPES.items():
        if STORES[name]().texts and name != "duckdb" and "bool" in (kind, OWN[attribute]):
            continue  # In SQLite a boolean is one of the integers.
        columns = {"id": "id", attribute: column("c", null="absent")}
        documents = table.documents(columns)
        for condition in conditions:
            rules = f"permit p: read on Doc when doc has {attribute} and {condition}\n"
            try:
                table.check(rules, columns, documents)
            except AssertionError:
                raise
            except Exception:
                if kind == OWN[attribute]:
                    raise


# ---- what texts are ----

ODD = ("a", "a\0", "a\uffff", "\0", "\uffff", "a\0b", "a\uffffb", "", "\\u0000", "\\")


@pytest.mark.parametrize("name", [name for name in JSON_STORES if name != "postgresql"])
def test_no_two_texts_are_one(name: str) -> None:
    """A column of `jsonb` of PostgreSQL takes no NUL."""
    rows: list[Row] = [
        {"id": f"r{at}-{to}", "data": {"s": one, "t": other, "tags": [one, other]}}
        for at, one in enumerate(ODD)
        for to, other in enumerate(ODD)
    ]
    table = Table(name, rows, {"id": "text", "data": "json"})
    columns: dict[str, str | Field] = {"id": "id", "*": json("data", names="checked")}
    if name in ("mongodb", "qdrant"):
        columns = {"id": "id", **{each: json("data", each) for each in ("s", "t", "tags")}}
    documents = [{"id": row["id"], **row["data"]} for row in rows]
    for condition in ("doc.s == doc.t", "doc.s != doc.t", "size(doc.tags) == 2", "size(doc.tags) == 1",
                      'doc.s == "a"', 'doc.s != "a"', "size(doc.s) == 2", 'doc.s like "a*"'):  # fmt: skip
        rules = f"permit p: read on Doc when doc has s and doc has t and doc has tags and {condition}\n"
        table.check(rules, columns, documents)


@pytest.mark.parametrize("name", ["sqlite", "duckdb", "postgresql", "sqlalchemy"])
def test_an_attribute_that_is_called_like_the_rest(name: str) -> None:
    values: tuple[Any, ...] = ({}, {"*": "x"}, {"*": 5}, {"*": None}, {"a": {"*": "x"}})
    rows: list[Row] = [{"id": f"r{at}", "data": {"extra": value}} for at, value in enumerate(values)]
    table = Table(name, rows, {"id": "text", "data": "json"})
    columns: dict[str, str | Field] = {"id": "id", "*": json("data", names="checked")}
    documents = table.documents(columns)
    fields = table.store.backend(columns, {"id": "text", "data": "json"}).fields
    assert fields.find(("*",)) == json("data", "*", names="checked")
    assert documents[1] == {"id": "r1", "extra": {"*": "x"}}


# ---- parents, where nothing is below what is asked for ----


@pytest.mark.parametrize("name", [name for name in TABLES if name not in ("sqlite", "sqlalchemy")] + ["milvus"])
def test_no_parents_at_all(name: str) -> None:
    """Whatever the first column of the mapping holds."""
    kinds = {"id": "text", "tags": "texts", "s": "text", "up": "texts"}
    rows: list[Row] = [
        {"id": f"r{at}", "tags": tags, "s": s, "up": up}
        for at, (tags, s, up) in enumerate(
            [(None, None, None), (["a"], "a", []), (None, "a", ["f"]), ([], None, ["f", "g"]), (["a"], None, None)]
        )
    ]
    table = Table(name, rows, kinds)
    for first in ("tags", "s"):
        columns: dict[str, str | Field] = {
            first: column(first, null="absent"),
            "id": "id",
            "tags": column("tags", null="absent"),
            "parents": ref("up", "Folder", null="absent"),
        }
        documents = table.documents(columns)
        for condition in ('doc in Folder::"f"', 'not (doc in Folder::"f")', 'doc in Folder::"none"',
                          'not (doc in Folder::"none")', 'doc in Other::"f"', 'not (doc in Other::"f")',
                          'doc == Doc::"x" or not (doc in [Folder::"g", Other::"g"])'):  # fmt: skip
            table.check(f"permit p: read on Doc when {condition}\n", columns, documents)


# ---- sizes ----


def _teams(count: int) -> Row:
    return {**ANN, "teams": [f"x{at}" for at in range(count)]}


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("count", [5, 60])
def test_a_deep_formula_is_asked_for_as_far_as_the_store_goes(name: str, count: int) -> None:
    kinds = {"id": "text", "s": "text", "n": "int"}
    rows: list[Row] = [
        {"id": "a", "s": "x0", "n": 5}, {"id": "b", "s": "x0", "n": 7}, {"id": "c", "s": f"x{count - 1}", "n": 5},
        {"id": "d", "s": "none", "n": 5}, {"id": "e", "s": "x1", "n": None},
    ]  # fmt: skip
    store = STORES[name]()
    columns: dict[str, str | Field] = {each: column(each, null="absent") for each in kinds}
    condition = "any t in principal.teams: doc has s and doc has n and (t == doc.s and doc.n != 7)"
    engine, _ = asked(f"permit p: read on Doc when {condition}\n")
    found = engine.filter(principal=_teams(count), action="read", resource_type="Doc")
    documents = [{name: value for name, value in row.items() if value is not None} for row in rows]
    check(found, ["a", "c"], store.backend(columns, kinds), store.hold(rows, kinds), documents)


@pytest.mark.parametrize("name", ["sqlite", "duckdb", "postgresql", "sqlalchemy", "mongodb", "qdrant"])
def test_a_long_way_into_json(name: str) -> None:
    data: Any = "x"
    for at in reversed(range(12)):
        data = {f"k{at}": data}
    rows: list[Row] = [{"id": "a", "data": {"extra": data}}, {"id": "b", "data": {"extra": {}}}]
    table = Table(name, rows, {"id": "text", "data": "json"})
    columns: dict[str, str | Field] = {"id": "id", "extra": json("data", "extra")}
    documents = [{"id": row["id"], **row["data"]} for row in rows]
    for depth in (3, 5, 12):
        path = "".join(f".k{at}" for at in range(depth))
        known = " and ".join(f"doc.extra{''.join(f'.k{i}' for i in range(at))} has k{at}" for at in range(depth))
        table.check(
            f'permit p: read on Doc when doc has extra and {known} and doc.extra{path} == "x"\n', columns, documents
        )


@pytest.mark.parametrize("name", ["arrow", "polars"])
def test_many_values_that_all_have_to_be_there(name: str) -> None:
    values = [f"v{at}" for at in range(300)]
    rows: list[Row] = [{"id": "a", "tags": values}, {"id": "b", "tags": values[:-1]}, {"id": "c", "tags": []}]
    kinds = {"id": "text", "tags": "texts"}
    store = STORES[name]()
    columns: dict[str, str | Field] = {each: column(each, null="absent") for each in kinds}
    for condition, expected in (("contains_all", ["a"]), ("not contains_all", ["b", "c"])):
        engine, _ = asked(f"permit p: read on Doc when doc has tags and {condition}(doc.tags, principal.teams)\n")
        found = engine.filter(principal={**ANN, "teams": values}, action="read", resource_type="Doc")
        check(found, expected, store.backend(columns, kinds), store.hold(rows, kinds), rows)
