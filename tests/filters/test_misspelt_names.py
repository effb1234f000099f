"""A document with a name that is most likely misspelt is denied: an exact query finds none, whatever is asked for."""

from __future__ import annotations

from json import dumps
from typing import Any

import pyarrow as pa
import pytest

from policyengine import Engine
from policyengine.filters import Field, NotExpressible, column, json, mongodb, pinecone, qdrant, ref
from policyengine.filters.arrow import arrow
from policyengine.filters.descriptions import store_of
from policyengine.integrations import attributes
from tests.filters.test_contract import JSON_STORES
from tests.support.filter_checks import check
from tests.support.stores import STORES

ENGINE = Engine.from_text("""
module m
entity Group
entity User in Group { boss?: User }
extend User from source { grade?: Int }
entity Doc in Group { owner: User, readers?: Set<User>, mark?: String, deep?: { who: User } }
extend Doc from source { level?: Int }
action read on Doc for User
action all on Doc for User
permit own: read on Doc when doc.owner == principal
permit all: all on Doc
""")
ANN = {"type": "User", "id": "ann"}
GROUP = {"type": "Group", "id": "g"}
CLEAN: list[dict[str, Any]] = [{}, {"mark": "x"}, {"other": 1}, {"owner": {**ANN, "id": "bob"}}]
REFUSED: list[dict[str, Any]] = [
    {"mrak": "x"}, {"Mark": "x"}, {"parent": []}, {"level": 1}, {"owner": {**ANN, "parent": []}},
    {"owner": {**ANN, "grade": 9}}, {"owner": {**ANN, "boss": {**ANN, "bos": 1}}},
    {"readers": [{**ANN, "PARENTS": []}]}, {"deep": {"who": {**ANN, "parentS": []}}},
    {"parents": [{**GROUP, "parrents": []}]},
]  # fmt: skip
KINDS = {"id": "text", "owner_id": "text", "mark": "text", "data": "json"}


def _rows(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"id": f"d{n}", "owner_id": "ann", "mark": "x" if n % 2 else None, "data": {"owner": ANN, **each}}
        for n, each in enumerate(said)
    ]


OWNER = {"id": column("id"), "owner": ref("owner_id", "User")}
# Whether a query over the mapping is exact where the store can be asked for all else.
MAPPINGS: dict[str, tuple[dict[str, str | Field], bool]] = {
    "the rest": ({"id": "id", "*": json("data")}, False),
    "ids beside the rest": ({**OWNER, "*": json("data")}, False),
    "an entity": ({"id": "id", "owner": json("data", "owner")}, False),
    "entities": ({**OWNER, "readers": json("data", "readers")}, False),
    "parents": ({**OWNER, "parents": json("data", "parents")}, False),
    "inside a record": ({**OWNER, "deep": json("data", "deep")}, False),
    "part of an entity": ({**OWNER, "owner.boss": json("data", "owner", "boss")}, False),
    "a misspelt name": ({**OWNER, "mrak": column("mark", null="absent")}, False),
    "a name of the source": ({**OWNER, "level": column("mark", null="absent")}, False),
    "no names": ({**OWNER, "mark": json("data", "mark")}, True),
    "columns": ({**OWNER, "mark": column("mark", null="absent")}, True),
}


def _check(name: str, rows: list[dict[str, Any]], columns: dict[str, str | Field]) -> dict[str, bool]:
    store = STORES[name]()
    read = attributes(columns=columns, json="text" if store.texts else "values")
    documents: list[Any] = [read({**row, "data": dumps(row["data"]) if store.texts else row["data"]}) for row in rows]
    ask, exact = store.hold(rows, KINDS), {}
    for action in ("read", "all"):
        found = ENGINE.filter(principal=ANN, action=action, resource_type="Doc")
        asked = [{"principal": ANN, "action": action, "resource": {"type": "Doc", **each}} for each in documents]
        allowed = [d["id"] for d, answer in zip(documents, ENGINE.decide_many(asked), strict=True) if answer.allowed]
        exact[action] = check(found, allowed, store.backend(columns, KINDS), ask, documents)
    return exact


def test_each_of_them_is_refused() -> None:
    for said in REFUSED:
        document = {"type": "Doc", "id": "d", "owner": ANN, **said}
        assert not ENGINE.decide(principal=ANN, action="all", resource=document).allowed, said


@pytest.mark.parametrize("name", JSON_STORES)
def test_what_an_exact_query_finds_is_allowed(name: str) -> None:
    rows = _rows([*CLEAN, *REFUSED])
    for columns, exact in MAPPINGS.values():
        asked = _check(name, rows, columns)
        assert not any(asked.values()) or exact, columns
        assert asked["all"] is exact or name == "qdrant", columns


@pytest.mark.parametrize("name", JSON_STORES)
def test_whoever_checked_the_names_says_so(name: str) -> None:
    columns: dict[str, str | Field] = {"id": "id", "*": json("data", names="checked")}
    exact = _check(name, _rows(CLEAN), columns)
    assert all(exact.values()) or name == "qdrant"


def test_tables_and_documents_without_a_mapping() -> None:
    found = ENGINE.filter(principal=ANN, action="all", resource_type="Doc")
    for names, exact in ((["id", "other"], True), (["id", "mrak"], False), (["id", "level"], False)):
        assert found.to(arrow(pa.schema([(name, pa.string()) for name in names]))).exact is exact
    who = pa.struct([("type", pa.string()), ("id", pa.string()), ("parent", pa.list_(pa.string()))])
    assert not found.to(arrow(pa.schema([("owner", who)]))).exact
    for backend in (mongodb(), qdrant(), pinecone()):
        assert "no name is misspelt" in found.to(backend).rechecked


def test_how_it_is_said_and_refused() -> None:
    found = ENGINE.filter(principal=ANN, action="all", resource_type="Doc")
    told = store_of({"store": "sqlite", "columns": {"*": {"json": "data", "names": "checked"}}})
    assert found.to(told, exact=True).exact
    with pytest.raises(NotExpressible, match="exactly") as refused:
        found.to(store_of({"store": "sqlite", "columns": {"*": {"json": "data"}}}), exact=True)
    assert 'names="checked"' in refused.value.diagnostics[0].help
    with pytest.raises(ValueError, match="names is"):
        json("data", names="known")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="columns"):
        store_of({"store": "sqlite", "columns": {"*": {"json": "data", "names": "known"}}})
