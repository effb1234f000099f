"""A request is read the same whatever the order of its keys, and whatever those asked before it had: the checks in C
remember where things stood."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from tests.support.evaluators import FAST, evaluator, reference

POLICY = """
use ai
extend User { clearance: Int, team?: String, groups: Set<String>, boss?: User }
extend Document { owner: String, level: Int, labels: Set<String>, weight?: Number }

permit cleared: retrieve on Document when document.level <= principal.clearance
permit owner: retrieve on Document when document.owner == principal.id
permit team: retrieve on Document when principal has team and principal.team == document.owner
permit boss: retrieve on Document when principal has boss and principal.boss.id == document.owner
permit light: retrieve on Document when document has weight and document.weight < 1.5
forbid held: retrieve on Document when "held" in document.labels unless "legal" in principal.groups
forbid group: retrieve on Document when principal in Group::"out"
"""
SNAPSHOT = Engine.from_text(POLICY).snapshot
USER: dict[str, Any] = {
    "type": "User",
    "id": "ann",
    "clearance": 2,
    "groups": ["legal"],
    "team": "blue",
    "parents": [{"type": "Group", "id": "in"}],
    "boss": {"type": "User", "id": "bob"},
}
DOCUMENT: dict[str, Any] = {
    "type": "Document",
    "id": "d",
    "owner": "ann",
    "level": 3,
    "labels": ["held"],
    "weight": 2.5,
}
# What may stand there instead.
OTHER: dict[str, list[Any]] = {
    "type": ["Document", "User", 5],
    "id": ["d", "ann", "bob", None],
    "clearance": [3, "3", 2**70],
    "groups": [[], ("legal",), [1]],
    "team": ["ann", "green"],
    "parents": [[], [{"type": "Group", "id": "out"}], [{"type": "User", "id": "ann", "clearance": 9}], {}],
    "boss": [{"type": "User", "id": "ann"}, {"type": "User", "id": "ann", "clearance": 9}, "ann"],
    "owner": ["bob", "blue", True],
    "level": [1, 9, 1.5],
    "labels": [["public"], "held"],
    "weight": [0.5, 1, float("nan")],
    "more": ["x"],
}


@st.composite
def shuffled(draw: st.DrawFn, entity: dict[str, Any]) -> dict[str, Any]:
    """An entity with its keys in some order, some missing, some with another value, some that only look equal."""
    names = draw(st.permutations([*entity, "more"]))
    left_out = draw(st.sets(st.sampled_from(names), max_size=2)) | ({"more"} if draw(st.booleans()) else set())
    changed = draw(st.sets(st.sampled_from(names), max_size=2)) | {"more"}
    found = {}
    for name in names:
        if name in left_out:
            continue
        value = draw(st.sampled_from(OTHER[name])) if name in changed else entity[name]
        # Another text, and so another place in memory.
        found["".join(list(name)) if draw(st.booleans()) else name] = value
    return found


@given(st.lists(st.tuples(shuffled(USER), shuffled(DOCUMENT)), min_size=1, max_size=6))
def test_whatever_the_order_of_the_keys(asked: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    for kind in FAST:
        made = evaluator(SNAPSHOT, kind)
        # Each in the order that others had before it, over and over: each key at its place, and at that of another.
        for principal, resource in [*asked, *asked[::-1], *asked, *asked]:
            request = {"principal": principal, "action": "retrieve", "resource": resource}
            assert made.decide(principal, "retrieve", resource) == reference(SNAPSHOT, request), (kind, request)


def test_values_that_change_places() -> None:
    """Two keys, or two values, each in the place of the other, when all that they lead to has been seen before."""
    names = list(DOCUMENT)
    swaps = [{one: other, other: one} for one in names for other in names if one < other]
    moved = [{at.get(name, name): DOCUMENT[at.get(name, name)] for name in names} for at in swaps]
    exchanged = [{name: DOCUMENT[at.get(name, name)] for name in names} for at in swaps]
    # To all that rules can say of these.
    others = [
        {**DOCUMENT, "owner": o, "level": n, "weight": w} for o in ("ann", "d") for n in (1, 3) for w in (0.5, 2.5)
    ]
    asked = [*others, *moved, *exchanged]
    expected = [reference(SNAPSHOT, {"principal": USER, "action": "retrieve", "resource": one}) for one in asked]
    assert len({each.determining for each in expected}) > 4
    for kind in FAST:
        made = evaluator(SNAPSHOT, kind)
        for _ in range(3):
            for resource, decision in zip(asked, expected, strict=True):
                made.decide(USER, "retrieve", DOCUMENT)
                assert made.decide(USER, "retrieve", resource) == decision, (kind, resource)


def test_more_keys_than_have_places() -> None:
    names = [f"a{n}" for n in range(40)]
    fields, rules = (
        ", ".join(f"{name}: String" for name in names),
        " and ".join(f'document.{n} == "{n}"' for n in names),
    )
    snapshot = Engine.from_text(
        f"use ai\nextend Document {{ {fields} }}\npermit p: retrieve on Document when {rules}"
    ).snapshot
    whole: dict[str, Any] = {"type": "Document", "id": "d", **{name: name for name in names}}
    for kind in FAST:
        made = evaluator(snapshot, kind)
        for size in (42, 42, 41, 42, 18, 17, 16, 42, 42):
            resource = dict(list(whole.items())[:size])
            request = {"principal": USER, "action": "retrieve", "resource": resource}
            found = made.decide(USER, "retrieve", resource)
            assert found == reference(snapshot, request)
            assert found.allowed is (size == 42)
