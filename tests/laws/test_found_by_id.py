"""A store that holds references as ids finds what `decide` allows, whatever the caller says of whom documents mention.

A filter's formula is true of a document with everything that is said of it (`satisfies`). A store cannot know what the
caller says. What it finds is stated here once more, from what it looks at: columns, and the `closed` sets of tests of
hierarchies.
"""

from __future__ import annotations

from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.model.entities import PARENTS, World
from policyengine.model.values import Entity, Fault, as_entity
from policyengine.partial.formula import All, Below, Formula, Inside, Opaque, Some
from policyengine.partial.satisfies import satisfies, value
from tests.laws.test_callers import SOURCED, callers, documents, policies
from tests.support.evaluators import reference
from tests.support.requests import Choices, entity
from tests.support.scenarios import scenarios


def found(formula: Formula, thing: Entity, world: World) -> bool | None:
    """Whether a store finds the thing; None if its conditions leave that to a recheck."""
    match formula:
        case All(items=items):
            results = [found(item, thing, world) for item in items]
            return False if False in results else None if None in results else True
        case Some(items=items):
            results = [found(item, thing, world) for item in items]
            return True if True in results else None if None in results else False
        case Opaque():
            return None
        case Below(path=path, type=type_, closed=closed, negated=negated):
            try:
                return (value(thing, path, type_).uid in closed) is not negated
            except Fault:
                return False
        case Inside(closed=closed, negated=negated):
            return any(as_entity(parent).uid in closed for parent in thing.attributes.get(PARENTS, [])) is not negated
    return satisfies(formula, thing, world)


def check(engine: Engine, asked: dict[str, Any], document: dict[str, Any]) -> None:
    type_ = asked["resource"]["type"]
    if document["id"] in engine.snapshot.world.records.get(type_, {}):
        return  # what the entity source says of it is no matter of columns
    thing = as_entity({**document, "type": type_})
    formula = engine.filter(
        principal=asked["principal"], action=asked["action"], resource_type=type_, context=asked["context"]
    ).formula
    is_found = found(formula, thing, engine.snapshot.world)
    event("left to a recheck" if is_found is None else f"found: {is_found}")
    if is_found is not None:
        allowed = reference(engine.snapshot, {**asked, "resource": {**document, "type": type_}}).allowed_if(())
        assert is_found is allowed, formula


@given(scenarios(asked=("hostile",)), st.integers(0, 2**32))
def test_whatever_the_request(scenario: Any, seed: int) -> None:
    engine, (asked,) = scenario.engine(), scenario.requests
    schema, resource = engine.snapshot.schema, asked.get("resource")
    if type(resource) is not dict or resource.get("type") not in ("Doc", "Folder", "User") or "id" not in resource:
        return
    choose = Choices(None, seed)
    for number in range(4):
        document = entity(choose, schema, resource["type"], f"n{number}")
        check(engine, {"principal": None, "action": None, "context": None, **asked}, document)


TEAMS: tuple[Any, ...] = (
    None, "x", 5, [5], ["a"], [], [{"type": "Team"}], [{"type": "Team", "id": "a"}],
    [{"type": "Team", "id": "a", "parents": None}],
    [{"type": "Team", "id": "b", "parents": [{"type": "Team", "id": "a", "parents": 5}]}],
)  # fmt: skip
HIERARCHIES = (
    'doc in Team::"a"', 'not (doc in Team::"b")', 'doc.by in Team::"a"', 'not (doc.by in Team::"a")',
    'doc.team in Team::"a"', 'not (doc.team in Team::"b")', 'doc.team in [Team::"a", Team::"b"]',
    '(doc.by in Team::"a") == doc.open', "doc.by.level > 1", "not (doc.by.level > 1)", "principal in doc.team",
    "doc.by.tenant == principal.tenant", "(doc.by has boss and doc.by.boss == principal)",
    'any t in doc.teams: t in Team::"a"', 'doc.by in [User::"a", Team::"b"]',
    '(if doc.open then doc.by in Team::"a" else not (doc.team in Team::"c"))',
)  # fmt: skip


def _are_entities(parents: Any) -> bool:
    return type(parents) is list and all(type(each) is dict and each.keys() == {"type", "id"} for each in parents)


@given(
    policies(),
    st.lists(st.tuples(st.sampled_from(("permit", "forbid")), st.sampled_from(HIERARCHIES)), max_size=3),
    st.lists(callers, min_size=2, max_size=4),
    st.lists(documents, min_size=2, max_size=5),
    st.booleans(),
    st.data(),
)
def test_whatever_the_caller_states_of_hierarchies(
    text: str,
    rules: list[tuple[str, str]],
    asking: list[dict[str, Any]],
    stored: list[dict[str, Any]],
    sourced: bool,
    data: st.DataObject,
) -> None:
    text += "".join(f"{kind} h{at}: read on Doc when {condition}\n" for at, (kind, condition) in enumerate(rules))
    engine = Engine.from_text(text, entities=SOURCED if sourced else None)
    # What is no list of entities is no column of ids.
    stored = [each for each in stored if each.get(PARENTS, []) == [] or _are_entities(each[PARENTS])]
    for caller in asking:
        teams = data.draw(st.sampled_from(TEAMS))
        boss = {"type": "User", "id": data.draw(st.sampled_from("abc")), PARENTS: teams}
        stated: dict[str, Any] = data.draw(
            st.sampled_from(({}, {PARENTS: teams}, {"boss": boss}, {PARENTS: teams, "boss": boss}))
        )
        for document in stored:
            asked = {"principal": {**caller, **stated}, "action": "read", "context": {"place": "a"}}
            check(engine, {**asked, "resource": {"type": "Doc"}}, document)
