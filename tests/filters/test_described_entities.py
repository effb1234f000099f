"""A caller that describes entities that documents mention: the parents that it states count for them, and where these
cannot be followed, no test of a hierarchy that mentions them is true, nor is its opposite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from json import dumps, loads
from typing import Any

import pytest

from policyengine import Engine
from policyengine.filters import Field, Filter, json, ref
from policyengine.integrations import attributes
from tests.support.evaluators import reference
from tests.support.filter_checks import check
from tests.support.stores import STORES

RULES = {
    "staff": 'doc.owner in Group::"staff"',
    "clear": 'not (doc.owner in Group::"banned")',
    "some": '(doc.owner in Group::"staff") == (principal in Group::"staff")',
    "named": 'doc.owner in [User::"bo", User::"eve"]',
    "other": 'not (doc.owner in [User::"zoe"])',
    "inside": 'doc in [Group::"staff", Group::"g"]',
    "outside": 'not (doc in Group::"banned")',
    "every": 'all r in doc.readers: not (r in Group::"banned")',
}
POLICY = """
    module m
    entity Group in Group
    entity User in Group { boss?: User, team?: Group }
    entity Doc in Group { owner: User, readers: Set<User> }
    """ + "".join(
    f"action {name} on Doc for User\npermit {name}: {name} on Doc when {test}\n" for name, test in RULES.items()
)
SOURCE = [{"type": "Group", "id": "k", "parents": [{"type": "Group", "id": "g"}]}]
ENGINE = Engine.from_text(POLICY, entities=SOURCE)


def user(id_: str, **said: Any) -> dict[str, Any]:
    return {"type": "User", "id": id_, **said}


def group(id_: str, **said: Any) -> dict[str, Any]:
    return {"type": "Group", "id": id_, **said}


WELL_FORMED: list[Any] = [[], [group("staff")], [group("banned")], [group("g", parents=[group("staff")])]]
ILL_FORMED: list[Any] = [
    None,
    {"type": "Group", "id": "staff"},
    ["staff"],
    [None, group("staff")],
    [{"type": "Group"}],
    [group("staff", parents=None)],
    [group("g", parents=[group("staff", parents="x")])],
    [group(f"g{at}") for at in range(1_100)],
]


def callers() -> Iterator[dict[str, Any]]:
    for parents in (*WELL_FORMED, *ILL_FORMED):
        yield user("bo", parents=parents)
        yield user("zoe", boss=user("bo", parents=parents))
        yield user("zoe", team=group("g", parents=parents))


ROWS: list[dict[str, Any]] = [
    {"id": f"{owner}{at}", "owner_id": owner, "readers": readers, "up": up}
    for owner in ("bo", "eve")
    for at, (readers, up) in enumerate(
        [(["al"], ["h"]), (["bo"], ["g"]), (["eve"], ["staff"]), (["eve", "bo"], ["banned", "k"]), (["zoe"], ["k"])]
    )
]
IDS = {
    "id": "id",
    "owner": ref("owner_id", "User"),
    "readers": ref("readers", "User"),
    "parents": ref("up", "Group"),
}
KINDS = {"id": "text", "owner_id": "text", "readers": "texts", "up": "texts"}


CALLERS = tuple(callers())


@cache
def filter_for(at: int, action: str) -> Filter:
    return ENGINE.filter(principal=CALLERS[at], action=action, resource_type="Doc")


@cache
def allowed(at: int, action: str, documents: str) -> list[str]:
    asked = {"principal": CALLERS[at], "action": action, "context": {}}
    every = [{"type": "Doc", **each} for each in loads(documents)]
    return [each["id"] for each in every if reference(ENGINE.snapshot, {**asked, "resource": each}).allowed]


def check_all(name: str, rows: list[dict[str, Any]], columns: dict[str, str | Field], kinds: dict[str, str]) -> int:
    """How many of the queries are exact."""
    store = STORES[name]()
    held = store.hold(rows, kinds)
    read = attributes(columns=columns, json="text" if store.texts else "values")
    documents: list[Any] = [
        read({**row, "data": dumps(row["data"])} if store.texts and "data" in row else row) for row in rows
    ]
    exact = 0
    for at in range(len(CALLERS)):
        for action in RULES:
            expected = allowed(at, action, dumps(documents))
            exact += check(filter_for(at, action), expected, store.backend(columns, kinds), held, documents)
    return exact


@pytest.mark.parametrize("name", STORES)
def test_columns_of_ids(name: str) -> None:
    kinds = {kind: of for kind, of in KINDS.items() if of in STORES[name]().kinds}
    columns: dict[str, str | Field] = {
        attribute: field
        for attribute, field in IDS.items()
        if (field if isinstance(field, str) else field.name) in kinds
    }
    assert check_all(name, [{key: row[key] for key in kinds} for row in ROWS], columns, kinds)


@pytest.mark.parametrize("name", [name for name in STORES if "json" in STORES[name]().kinds])
def test_json(name: str) -> None:
    """Documents in JSON state parents themselves."""
    rows = [
        {
            "id": row["id"],
            "data": {
                "owner": user(row["owner_id"], **({"parents": [group("g")]} if "k" in row["up"] else {})),
                "readers": [user(reader) for reader in row["readers"]],
                "parents": [group("h", parents=[group(each)]) for each in row["up"]],
            },
        }
        for row in ROWS
    ]
    check_all(name, rows, {"id": "id", "*": json("data", names="checked")}, {"id": "text", "data": "json"})


def test_what_the_source_states_of_documents_mentions_nothing_of_the_callers() -> None:
    documents = [
        {
            "type": "Doc",
            "id": row["id"],
            "owner": user(row["owner_id"]),
            "readers": [user(reader) for reader in row["readers"]],
            "parents": [group(each) for each in row["up"]],
        }
        for row in ROWS
    ]
    engine = Engine.from_text(POLICY, entities=[*SOURCE, *documents])
    for caller in CALLERS:
        for action in RULES:
            asked: dict[str, Any] = {"principal": caller, "action": action}
            expected = [
                row["id"]
                for row in ROWS
                if reference(
                    engine.snapshot, {**asked, "context": {}, "resource": {"type": "Doc", "id": row["id"]}}
                ).allowed
            ]
            found = engine.search_resources(**asked, resource_type="Doc")
            assert sorted(each["id"] for each in found) == expected, (caller, action)
            matches = engine.filter(**asked, resource_type="Doc").matches
            assert [row["id"] for row in ROWS if matches({"type": "Doc", "id": row["id"]})] == expected
