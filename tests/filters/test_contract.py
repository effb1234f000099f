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
from policyengine.filters import Field, Filter, column, json
from policyengine.integrations import attributes
from tests.support.filter_checks import check
from tests.support.stores import STORES, Kinds, Mapped, Row

SCHEMA = """
module contract
entity User { teams: Set<String>, name: String }
entity Doc {
  s?: String, n?: Int, flag?: Bool, tags?: Set<String>,
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
        columns["*"] = json("data")
    if whole == "named":
        columns |= {name: json("data", name) for name in ("meta", "extra", "owner")}
    table = records(name)
    documents = table.documents(columns)
    for condition in PARTS:
        table.check(f"permit p: read on Doc when {condition}\n", columns, documents)
