"""What is above a principal or a resource, however it is asked and wherever it is known from: the interpreter's
decision always."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from policyengine.bundle import Snapshot, load_text
from policyengine.compile import hierarchy
from policyengine.compile.hierarchy import FEW_PARENTS
from policyengine.model import entities
from tests.support.evaluators import FAST, evaluator, reference
from tests.support.requests import HOSTILE

HEAD = """
use ai
entity Team
entity Folder in Folder
entity Page in Folder { draft?: Bool, team: Group, teams: Set<Group>, people: Set<Person> }
entity Person in Group, Team, Person
action read on Page
"""
ONCE = 'permit p: read on Page when page has draft and principal in Group::"a"\n'
SEVERAL = """
permit p: read on Page when principal in Group::"a"
forbid f: read on Page when principal in Group::"b" and page in Folder::"hr"
"""
TYPES = """
permit p: read on Page when principal in Group::"a"
permit s: read on Page for Person in [Group::"b", Team::"a"]
permit self: read on Page when principal in Person::"u"
forbid f: read on Page when page in Folder::"hr"
"""
TABLE = SEVERAL + "".join(
    f'permit g{n}: read on Page for Person in Group::"g{n}"\nforbid t{n}: read on Page in Folder::"f{n}"\n'
    for n in range(6)
)
DYNAMIC = """
permit team: read on Page when principal in page.team
permit teams: read on Page when principal in page.teams
forbid people: read on Page when any one in page.people: one == principal
"""
POLICIES = {"dynamic": DYNAMIC, "once": ONCE, "several": SEVERAL, "types": TYPES, "table": TABLE}

NESTED: Any = {"type": "Group", "id": "n", "parents": [{"type": "Group", "id": "b"}, {"type": "Group", "id": "g2"}]}
WORLDS: dict[str, list[dict[str, Any]]] = {
    "empty": [],
    "groups": [{"type": "Group", "id": "x", "parents": [{"type": "Group", "id": "a"}, {"type": "Group", "id": "g1"}]}],
    # What references among the parents say of theirs, and what is not well-formed.
    "nested": [
        {"type": "Group", "id": "x", "parents": [NESTED]},
        {"type": "Group", "id": "a", "parents": [{"type": "Group", "id": "y", "parents": 5}]},
    ],
    "others": [{"type": "Model", "id": "a"}],
    "stated": [{"type": "Person", "id": "u", "parents": [{"type": "Group", "id": "b"}, {"type": "Group", "id": "g2"}]}],
    "unstated": [{"type": "Person", "id": "u"}, {"type": "Folder", "id": "hr", "parents": []}],
}

PLAIN: list[Any] = [{"type": t, "id": i} for t, i in (("Group", "a"), ("Group", "n"), ("Team", "a"), ("Group", "x"))]
ODD: list[Any] = [
    {"type": "Group", "id": "y", "parents": [{"type": "Group", "id": "a"}]},
    {"type": "Group", "id": "y", "parents": 5},
    {"type": "Group", "id": 5},
    {"type": 5, "id": "a"},
    {"type": "Group"},
    {"id": "a"},
    *HOSTILE,
]
PARENTS = [
    *([one] for one in (*PLAIN, *ODD)),
    *([one, other] for one, other in product(PLAIN, PLAIN)),
    *([PLAIN[0], one] for one in ODD),
    *([one, PLAIN[0]] for one in ODD),
    [*({"type": "Group", "id": f"m{n}"} for n in range(FEW_PARENTS + 1)), PLAIN[3]],
    [],
    tuple(PLAIN),
    {},
    *HOSTILE,
]


# One for each evaluator.
Snapshots = list[Snapshot]
REF: Any = {"type": "Person", "id": "v"}
PERSON = {**REF, "parents": [{"type": "Group", "id": "a"}]}
PAGE: dict[str, Any] = {
    "type": "Page", "id": "p", "draft": True, "team": PLAIN[0], "teams": [PLAIN[3]], "people": [],
}  # fmt: skip


@pytest.fixture(scope="module", params=list(product(POLICIES, WORLDS)), ids="-".join)
def snapshot(request: pytest.FixtureRequest) -> Snapshots:
    policy, world = request.param
    loaded = load_text(HEAD + POLICIES[policy], entities=WORLDS[world])
    assert loaded.snapshot is not None, [(d.span, d.message) for d in loaded.diagnostics]
    return [replace(loaded.snapshot, evaluator=evaluator(loaded.snapshot, kind)) for kind in FAST]


def check(snapshots: Snapshots, principal: dict[str, Any], page: dict[str, Any]) -> None:
    asked = {"principal": principal, "action": "read", "resource": page, "context": {}}
    expected = reference(snapshots[0], asked)
    for snapshot in snapshots:
        for _ in range(3):
            assert snapshot.evaluator.decide(**asked) == expected


@pytest.mark.parametrize("id_", ["u", "v"])
def test_above_the_principal(snapshot: Snapshots, id_: str) -> None:
    page = {**PAGE, "parents": [{"type": "Folder", "id": "hr"}]}
    check(snapshot, {"type": "Person", "id": id_}, page)
    for parents in PARENTS:
        check(snapshot, {"type": "Person", "id": id_, "parents": parents}, page)


def test_above_the_resource(snapshot: Snapshots) -> None:
    for parents in (*PARENTS, [{"type": "Folder", "id": "hr"}], [{"type": "Folder", "id": "f1"}, PLAIN[0]]):
        check(snapshot, PERSON, {**PAGE, "parents": parents})


def test_references_of_the_resource(snapshot: Snapshots) -> None:
    for team in (*PLAIN, *ODD):
        check(snapshot, PERSON, {**PAGE, "team": team})
    for some in (*PARENTS, [REF], [REF, REF], [PLAIN[0], REF], (REF,), {"a": REF}):
        check(snapshot, PERSON, {**PAGE, "teams": some})
        check(snapshot, PERSON, {**PAGE, "people": some})


@pytest.mark.parametrize("policy", [DYNAMIC, ONCE, SEVERAL])
def test_too_many_parents(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    most = 1_000
    for module in (entities, hierarchy):
        monkeypatch.setattr(module, "MAX_ANCESTORS", most)
    snapshot = load_text(HEAD + policy).snapshot
    assert snapshot is not None
    check([snapshot], PERSON, PAGE)
    parents = [{"type": "Group", "id": f"m{n}"} for n in range(most)]
    check([snapshot], {**PERSON, "parents": [*parents, PLAIN[0]]}, PAGE)
    assert reference(
        snapshot, {"principal": {**PERSON, "parents": [*parents, PLAIN[0]]}, "action": "read", "resource": PAGE}
    ).errors
