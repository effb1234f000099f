"""A search finds exactly those of the known entities, or of the declared actions, that a decision allows."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from policyengine import Engine
from policyengine.search import known
from tests.support.evaluators import reference
from tests.support.requests import hostile_values
from tests.support.scenarios import Scenario, scenarios

NAMES = ("n", "s", "tags", "parents", "home", "data", "boss", "recs", "few", "delegated_by")
given_attributes = st.dictionaries(st.sampled_from(NAMES), hostile_values)


def agree(engine: Engine, asked: dict[str, Any], given: dict[str, Any]) -> None:
    snapshot = engine.snapshot
    for place in ("principal", "resource"):
        entity = asked.get(place)
        type_ = entity.get("type") if type(entity) is dict else None
        if type(type_) is not str:
            continue
        whole = [{**asked, place: {**given, "type": type_, "id": id_}} for id_ in sorted(known(snapshot, type_))]
        expected = [{"type": type_, "id": one[place]["id"]} for one in whole if reference(snapshot, one).allowed]
        rest = {name: asked.get(name) for name in ("principal", "action", "resource", "context") if name != place}
        search: Any = engine.search_principals if place == "principal" else engine.search_resources
        assert search(**rest, **{f"{place}_type": type_, place: given}) == expected
    names = sorted(snapshot.schema.actions)
    actions = [name for name in names if reference(snapshot, {**asked, "action": name}).allowed]
    rest = {name: asked.get(name) for name in ("principal", "resource", "context")}
    search_actions: Any = engine.search_actions
    assert search_actions(**rest) == actions


@given(scenarios(), st.one_of(st.just({}), given_attributes), st.sets(st.sampled_from(NAMES)))
def test_a_search_finds_what_is_allowed(scenario: Scenario, given: dict[str, Any], absent: set[str]) -> None:
    entities = [
        {k: v for k, v in each.items() if k not in absent} if each["id"] == "e1" else each for each in scenario.entities
    ]
    engine = Engine.from_text(scenario.policies.text, entities=entities)
    for asked in scenario.requests:
        agree(engine, asked, given)


def test_who_is_found_may_act_for_whoever_they_are_said_to_act_for() -> None:
    engine = Engine.from_text(
        "use ai\npermit users: invoke on Model for User\n"
        'permit good: invoke on Model for Agent when principal.id == "good"\n',
        entities=[{"type": "User", "id": "ann"}],
    )
    for id_, found in (("good", ["ann"]), ("bad", [])):
        said = {"delegated_by": {"type": "Agent", "id": id_}}
        asked = {"action": "invoke", "resource": {"type": "Model", "id": "m"}}
        searched = engine.search_principals(principal_type="User", principal=said, **asked)
        assert [each["id"] for each in searched] == found
        assert engine.decide(principal={"type": "User", "id": "ann", **said}, **asked).allowed is bool(found)
