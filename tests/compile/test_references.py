"""References that say nothing: where they can be taken as they are, and where one of them is the principal itself."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.model.request import request
from policyengine.schema.mentions import united
from tests.support.evaluators import FAST, evaluator, reference

POLICIES = """
entity Group in Group
entity User in Group { level?: Int, boss?: User }
entity Folder in Folder { level?: Int, owner?: User }
action read on Folder for User
action meet on User for User
context host: User
permit low: any on any when principal has level and principal.level <= 1
permit owner: read on Folder when folder has owner and folder.owner has level and folder.owner.level == 2
forbid boss: meet on User when user has boss and user.boss has level and user.boss.level == 1
forbid inside: read on Folder in Folder::"top"
forbid group: any on any for User in Group::"out"
"""
SNAPSHOT = Engine.from_text(POLICIES).snapshot
ANN, BOB = {"type": "User", "id": "ann"}, {"type": "User", "id": "bob"}
IN, OUT = {"type": "Group", "id": "in"}, {"type": "Group", "id": "out"}
DEEP = {"type": "Group", "id": "in", "parents": [OUT]}
FOLDER, TOP = {"type": "Folder", "id": "f"}, {"type": "Folder", "id": "top"}
# Each with whether something is said of an entity that is mentioned elsewhere, too.
ASKED: list[tuple[Any, str, Any, Any, bool]] = [
    ({**ANN, "level": 1}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": [IN, OUT]}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": [DEEP]}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": (IN,)}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": [IN, DEEP]}, "read", FOLDER, {}, True),
    ({**ANN, "level": 2}, "read", {**FOLDER, "owner": ANN}, {}, True),
    ({**ANN, "level": 2}, "read", {**FOLDER, "owner": {"id": "ann", "type": "User"}}, {}, True),
    ({**ANN, "level": 2}, "read", {**FOLDER, "owner": BOB}, {}, False),
    ({**ANN, "level": 1}, "read", {**FOLDER, "level": 1, "parents": [FOLDER]}, {}, True),
    ({**ANN, "level": 1}, "read", {**FOLDER, "level": 1, "parents": [TOP]}, {}, False),
    ({**ANN, "level": 1}, "meet", ANN, {}, True),
    ({**ANN, "level": 1}, "meet", {**ANN, "boss": BOB}, {}, True),
    ({**ANN, "level": 1}, "meet", {**BOB, "boss": ANN}, {}, True),
    ({**ANN, "level": 1}, "meet", {**BOB, "boss": {**BOB}}, {}, True),
    ({**ANN, "level": 1}, "meet", {**BOB, "parents": [IN]}, None, False),
    ({**ANN, "level": 1}, "meet", BOB, {"host": ANN}, True),
    ({**ANN, "level": 1, "parents": [{"type": "Grp", "id": "out"}]}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": [{"type": "Group", "id": 5}]}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": [5]}, "read", FOLDER, {}, False),
    ({**ANN, "level": 1, "parents": {"type": "Group", "id": "out"}}, "read", FOLDER, {}, False),
]


@pytest.mark.parametrize("kind", sorted(FAST))
def test_references_are_what_the_interpreter_says(kind: Any) -> None:
    fast = evaluator(SNAPSHOT, kind)
    for _ in range(2):
        for principal, action, resource, context, _twice in ASKED:
            one = {"principal": principal, "action": action, "resource": resource, "context": context}
            assert fast.decide(**one) == reference(SNAPSHOT, one), one


def test_requests_that_say_nothing_twice_are_taken_as_they_are() -> None:
    for principal, action, resource, context, twice in ASKED:
        asked = request(principal, action, resource, context)
        assert (united(asked, SNAPSHOT.schema) is not asked) is twice, (principal, action, resource)
