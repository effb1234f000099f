"""A document that says more of one entity at another place: the parents that it states there count for all of them."""

from __future__ import annotations

from functools import cache
from json import dumps
from typing import Any

import pytest

from policyengine import Engine
from policyengine.filters import Field, json, ref
from policyengine.integrations import attributes
from tests.support.filter_checks import check
from tests.support.stores import STORES

ENGINE = Engine.from_text("""
module m
entity Group
entity User in Group { boss?: User }
entity Doc in Group { owner: User, author?: User, readers?: Set<User>, level?: Int }
action read on Doc for User
action clear on Doc for User
action list on Doc for User
action own on Doc for User
permit staff: read on Doc when doc.owner in Group::"staff"
permit clear: clear on Doc when not (doc.owner in Group::"banned")
permit inside: list on Doc in Group::"staff"
permit own: own on Doc when doc.owner == principal
""")
KINDS = {"id": "text", "owner_id": "text", "author_id": "text", "data": "json"}


def user(id_: str, **said: Any) -> dict[str, Any]:
    return {"type": "User", "id": id_, **said}


BANNED, STAFF = ({"type": "Group", "id": name} for name in ("banned", "staff"))
SAID = [
    {},
    {"author": user("bo")},
    {"author": user("bo", parents=[BANNED])},
    {"author": user("bo", parents=[STAFF])},
    {"author": user("eve", parents=[STAFF])},
    {"author": user("eve", boss=user("bo", parents=[STAFF]))},
    {"readers": [user("cy"), user("bo", parents=[STAFF])]},
    {"readers": [user("bo", parents=[BANNED])]},
    {
        "parents": [{"type": "Group", "id": "g"}],
        "author": user("cy", parents=[{**STAFF, "id": "g", "parents": [STAFF]}]),
    },
]
ROWS = [
    {"id": f"d{n}", "owner_id": "bo", "author_id": "bo", "data": {"owner": user("bo"), "level": 1, **said}}
    for n, said in enumerate(SAID)
]
MAPPINGS: dict[str, dict[str, str | Field]] = {
    "beside": {"id": "id", "owner": ref("owner_id", "User"), "*": json("data", names="checked")},
    "named": {"id": "id", "owner": ref("owner_id", "User"), "author": json("data", "author", names="checked")},
    "whole": {"id": "id", "*": json("data", names="checked")},
    "ids": {"id": "id", "owner": ref("owner_id", "User"), "author": ref("author_id", "User")},
}


@cache
def _held(name: str) -> Any:
    return STORES[name]().hold(ROWS, KINDS)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("name", ["sqlite", "duckdb"])
def test_what_a_document_says_elsewhere_counts(name: str, mapping: str) -> None:
    store, columns = STORES[name](), MAPPINGS[mapping]
    read = attributes(columns=columns, json="text" if store.texts else "values")
    documents: list[Any] = [read({**row, "data": dumps(row["data"]) if store.texts else row["data"]}) for row in ROWS]
    exact = {}
    for action in ("read", "clear", "list", "own"):
        found = ENGINE.filter(principal=user("bo"), action=action, resource_type="Doc")
        asked = {"principal": user("bo"), "action": action}
        allowed = [d["id"] for d in documents if ENGINE.decide(**asked, resource={"type": "Doc", **d}).allowed]
        exact[action] = check(found, allowed, store.backend(columns, KINDS), _held(name), documents)
    assert exact["own"]
    assert exact["read"] == exact["clear"] == (mapping == "ids")
