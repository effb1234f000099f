"""What is looked up once of entities that requests only name: same decisions, and no made-up name kept."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from policyengine.bundle import Snapshot, load_text
from policyengine.model.entities import World
from policyengine.model.values import Uid
from tests.support.evaluators import FAST, evaluator, reference

POLICY = """
use ai
entity Team in Team
entity Folder in Folder
extend User in Team { level: Int, lead?: Team, watches: Set<Document>, folders: List<Folder> }
extend Document in Folder, Team {
  level: Int, readers: Team, writers: Set<Team>, editors: Set<User>, owner: User, backup: Folder
}
permit known: retrieve on Document for User when document.level <= principal.level
permit readers: retrieve on Document for User when principal in document.readers
permit writers: retrieve on Document for User when principal in document.writers
permit either: retrieve on Document for User when principal in document.writers or principal in document.editors
permit any_way: retrieve on Document for User when
  document in principal.watches or document in principal.folders or principal in document.editors or document.level < 0
permit owner: retrieve on Document for User when document.owner == principal
permit lead: retrieve on Document for User when principal has lead and document in principal.lead
permit far: retrieve on Document for User when document.owner has lead and principal in document.owner.lead
permit watched: retrieve on Document for User when any one in principal.watches: one == document
permit also_watched: retrieve on Document for User when any one in principal.watches: document == one
forbid busy: retrieve on Document for User when any one in principal.watches:
  one.level > document.level and one != document
forbid hr: retrieve on Document in Folder::"hr" for User when principal.level < 3
forbid low: retrieve on Document for User in Team::"low" when document.backup == Folder::"hr"
"""


def ref(type_: str, id_: str) -> dict[str, Any]:
    return {"type": type_, "id": id_}


def user(id_: str, **attributes: Any) -> dict[str, Any]:
    return {**ref("User", id_), "level": 1, "watches": [], "folders": [], "tenant": "t", "roles": [], **attributes}


def document(id_: str, **attributes: Any) -> dict[str, Any]:
    given = {
        "level": 2, "readers": ref("Team", "a"), "writers": [], "editors": [], "owner": ref("User", "ann"),
        "backup": ref("Folder", "x"),
    }  # fmt: skip
    return {**ref("Document", id_), **given, **attributes}


ENTITIES = [
    {**ref("Team", "a"), "parents": [ref("Team", "b")]},
    ref("Team", "b"),
    {**ref("Folder", "sub"), "parents": [ref("Folder", "hr")]},
    user("ann", lead=ref("Team", "b")),
    user("bob", level=3, parents=[ref("Team", "a")], watches=[ref("Document", "d1"), ref("Document", "d2")]),
    user("far", folders=[ref("Folder", "y"), ref("Folder", "hr")]),
    {key: item for key, item in user("unsure", watches=[ref("Document", "d1")]).items() if key != "folders"},
    user("low", level=4, parents=[ref("Team", "low")]),
    # Entities for which something has no value.
    {key: item for key, item in user("odd").items() if key != "level"},
    ref("User", "empty"),
    document("d1", writers=[ref("Team", "b")], parents=[ref("Team", "b")]),
    document("d2", level=1, backup=ref("Folder", "hr")),
    document("hr", level=1, parents=[ref("Folder", "sub")]),
    document("edited", editors=[ref("User", "ann"), ref("User", "far")]),
    {key: item for key, item in document("wrong").items() if key != "readers"},
]
USERS = ("ann", "bob", "low", "far", "unsure", "odd", "empty", "nobody")
DOCUMENTS = ("d1", "d2", "hr", "edited", "wrong", "none")


@pytest.fixture(scope="module", params=FAST)
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    loaded = load_text(POLICY, entities=ENTITIES)
    assert loaded.snapshot is not None, [(d.span, d.message) for d in loaded.diagnostics]
    return replace(loaded.snapshot, evaluator=evaluator(loaded.snapshot, request.param))


@pytest.mark.parametrize("more", [{}, {"level": 9}, {"parents": []}])
def test_named_entities_are_decided_as_by_the_interpreter(snapshot: Snapshot, more: dict[str, Any]) -> None:
    for _ in range(2):
        for who, what in product(USERS, DOCUMENTS):
            asked = {"principal": {**ref("User", who), **more}, "action": "retrieve", "resource": ref("Document", what)}
            assert snapshot.evaluator.decide(**asked) == reference(snapshot, asked), (who, what)


def test_made_up_names_are_not_remembered(snapshot: Snapshot) -> None:
    for number in range(10):
        resource = ref("Document", f"made up {number}")
        snapshot.evaluator.decide(ref("User", f"made up {number}"), "retrieve", resource)
        snapshot.evaluator.decide(ref("User", "ann"), "retrieve", ref("Document", "d1"))
    entry = snapshot.evaluator.entries["retrieve"]["Document"]["User"]
    # What it holds in C, or as the names of a generated function.
    held = [*gc.get_referents(entry), *getattr(entry, "__globals__", {}).values()]
    rows = [each for each in held if isinstance(each, dict)]
    assert not any(str(id_).startswith("made up") for each in rows for id_ in each)
    assert any(each.get("ann") for each in rows)
    assert any(each.get("d1") for each in rows)


def test_each_identity_has_a_number_of_its_own() -> None:
    known = World()
    uids = [Uid(type_, id_) for type_, id_ in product(("A", "B", "AB"), ("", "a", "b", "A"))] * 2
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(known.number, uids))
    assert [known.number(uid) for uid in uids] == numbers
    assert len(set(numbers)) == len(set(uids))
