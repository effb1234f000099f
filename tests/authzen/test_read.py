"""What a request is: AuthZEN's entities become the engine's, flat, and nothing of them is dropped."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine.authzen import read
from policyengine.authzen.engine_arguments import Batch, DecideArguments
from policyengine.authzen.entities import MAX_NESTED
from policyengine.authzen.errors import Malformed, Misspelt

BASE: dict[str, Any] = {
    "subject": {"type": "User", "id": "ann"},
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "t"},
}
GROUP = {"type": "Group", "id": "legal"}


def arguments(**members: Any) -> DecideArguments:
    return read.evaluation({**BASE, **members})


def user(**members: Any) -> dict[str, Any]:
    return {"type": "User", "id": "ann", **members}


def test_the_smallest_request() -> None:
    assert arguments() == {
        "principal": {"type": "User", "id": "ann"},
        "action": "call",
        "resource": {"type": "Tool", "id": "t"},
        "context": {},
    }


def test_properties_become_attributes_unchanged() -> None:
    properties = {
        "a": None,
        "b": [],
        "c": {},
        "d": "",
        "e": 0,
        "f": False,
        "g": {"type": "x", "id": "y", "properties": []},
        "h": {"type": "x", "properties": {"z": 1}},
    }
    assert arguments(subject=user(properties=properties))["principal"] == user(**properties)


def test_attributes_beside_the_id_are_read() -> None:
    subject = user(role="admin", properties={"tenant": "acme"})
    assert arguments(subject=subject)["principal"] == user(role="admin", tenant="acme")
    assert arguments(resource={"type": "T", "id": "t", "x": 1})["resource"] == {"type": "T", "id": "t", "x": 1}
    assert arguments(action={"name": "call", "soft": True})["action"] == {"name": "call", "soft": True}


@pytest.mark.parametrize("value", ["admin", "user"])
def test_an_attribute_in_both_places_is_refused(value: str) -> None:
    entity = user(role="admin", properties={"role": value})
    for members in (
        {"subject": entity},
        {"context": {"agent": entity}},
        {"subject": user(properties={"boss": entity})},
    ):
        with pytest.raises(Malformed, match="both beside and in"):
            arguments(**members)
    with pytest.raises(Malformed, match="both beside and in"):
        arguments(action={"name": "call", "soft": 1, "properties": {"soft": 1}})


def test_properties_never_override_the_identity() -> None:
    flat = arguments(subject=user(properties={"type": "Admin", "id": "root", "name": "x"}))["principal"]
    assert flat == user(name="x")
    action = arguments(action={"name": "call", "properties": {"name": "release", "type": "x"}})["action"]
    assert action == {"name": "call", "type": "x"}


def test_parents_may_be_given_in_either_place() -> None:
    parent = {**GROUP, "properties": {"parents": [{"type": "Group", "id": "staff", "x": 1}]}}
    read_parent = {**GROUP, "parents": [{"type": "Group", "id": "staff", "x": 1}]}
    for members in ({"parents": [parent]}, {"properties": {"parents": [parent]}}):
        assert arguments(subject=user(**members))["principal"]["parents"] == [read_parent]
        nested = (
            arguments(resource={"type": "Doc", "id": "d", "properties": {"owner": user(properties={}, **members)}})
            if "properties" not in members
            else arguments(resource={"type": "Doc", "id": "d", "owner": user(**members)})
        )
        assert nested["resource"]["owner"]["parents"] == [read_parent]
    with pytest.raises(Malformed, match="both"):
        arguments(subject=user(properties={"parents": []}, parents=[GROUP]))
    for wrong in ("legal", [None], [{"type": "Group"}], {}):
        for members in ({"parents": wrong}, {"properties": {"parents": wrong}}):
            with pytest.raises(Malformed):
                arguments(subject=user(**members))


BANNED = {"type": "User", "id": "eve", "properties": {"parents": [GROUP], "n": 1}}
READ = {"type": "User", "id": "eve", "parents": [GROUP], "n": 1, "properties": BANNED["properties"]}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"owner": BANNED}, {"owner": READ}),
        ({"owners": [[BANNED], 1]}, {"owners": [[READ], 1]}),
        ({"args": {"who": BANNED}}, {"args": {"who": READ}}),
        ({"type": "x", "id": "y", "properties": {"z": BANNED}}, {"properties": {"z": READ}}),
    ],
)
def test_entities_at_any_depth_are_read(given: dict[str, Any], found: dict[str, Any]) -> None:
    entity = {"type": "Doc", "id": "d"}
    assert arguments(resource={**entity, "properties": given})["resource"] == {**entity, **found}
    if "type" not in given:
        assert arguments(resource={**entity, **given})["resource"] == {**entity, **found}
        assert arguments(context=given)["context"] == found


def test_the_agents_behind_an_agent_are_read() -> None:
    behind = {"type": "Agent", "id": "two", "properties": {"tenant": "acme"}}
    for agent in (
        {"type": "Agent", "id": "one", "properties": {"delegated_by": behind}},
        {"type": "Agent", "id": "one", "delegated_by": behind},
    ):
        found = arguments(context={"agent": agent})["context"]["agent"]
        assert found["delegated_by"]["tenant"] == "acme"


def test_entities_may_not_be_nested_without_end() -> None:
    value: Any = 1
    for _ in range(MAX_NESTED + 2):
        value = {"type": "x", "id": "y", "properties": {"z": value}}
    with pytest.raises(Malformed, match="nested"):
        arguments(context={"agent": value})


def test_a_request_is_not_changed_by_reading() -> None:
    request = {**BASE, "context": {"agent": {"type": "Agent", "id": "a", "properties": {"x": [BANNED]}}}}
    before = repr(request)
    read.evaluation(request)
    assert repr(request) == before


@pytest.mark.parametrize("value", [[], True, None, ["t.ok"], {"t.ok": True}])
def test_nobody_is_approved_by_saying_so(value: Any) -> None:
    for call in (
        lambda: read.evaluation({**BASE, "approved": value}),
        lambda: read.batch({**BASE, "approved": value, "evaluations": [{}]}),
        lambda: read.search({**BASE, "approved": value}, "resource"),
        lambda: read.filter_request({**BASE, "approved": value}),
    ):
        with pytest.raises(Malformed, match="`approved`"):
            call()
    batch = read.batch({**BASE, "evaluations": [{}, {"approved": value}]})
    assert isinstance(batch, Batch)
    assert [isinstance(each, Malformed) for each in batch.items] == [False, True]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({"contxt": {}}, "context"),
        ({"Context": {}}, "context"),
        ({"contetx": {}}, "context"),
        ({"subject": user(propertes={"x": 1})}, "properties"),
        ({"action": {"name": "call", "property": {}, "proprties": {}}}, "properties"),
        ({"context": {"supportedObligations": []}}, "supported_obligations"),
        ({"subject": user(parents=[{**GROUP, "Properties": {}}])}, "properties"),
    ],
)
def test_a_misspelt_member_is_an_error_of_the_request(given: dict[str, Any], meant: str) -> None:
    with pytest.raises(Misspelt, match=f"did you mean `{meant}`"):
        arguments(**given)


@pytest.mark.parametrize(
    "name", ["object", "reason", "request_id", "trace", "type", "id", "kontext_of_it", "", "x" * 999]
)
def test_any_other_unknown_member_is_ignored(name: str) -> None:
    assert arguments(**{name: 1}) == arguments()


@pytest.mark.parametrize("given", [{"evaluation": [{}]}, {"option": {}, "evaluations": [{}]}])
def test_a_misspelt_batch_allows_nothing(given: dict[str, Any]) -> None:
    try:
        found = read.batch({**BASE, **given})
        assert isinstance(found, Batch)
        assert all(isinstance(each, Misspelt) for each in found.items)
        assert len(found.order) == len(given["evaluations"])
    except Misspelt:
        assert "evaluations" not in given


def test_a_request_file_may_say_principal_and_name_the_action_by_text() -> None:
    native = {"principal": user(properties={"parents": [GROUP]}), "action": "call", "resource": BASE["resource"]}
    assert read.request_file(native) == arguments(subject=native["principal"])
    assert read.request_file({**BASE, "unknown": 1}) == arguments()
    with pytest.raises(Misspelt, match="did you mean `context`"):
        read.request_file({**native, "contxt": {}})
    with pytest.raises(Malformed, match=r"`principal\.id` is required"):
        read.request_file({**native, "principal": {"type": "User"}})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"subject": 1}, "`subject` must be an object"),
        ({"subject": {"type": "User"}}, "`subject.id` is required"),
        ({"subject": user(id="")}, "`subject.id` must be a non-empty string"),
        ({"subject": user(type=7)}, "`subject.type` must be a non-empty string"),
        ({"subject": user(properties=[])}, "`subject.properties` must be an object"),
        ({"subject": user(parents=[{"type": "G"}])}, "`subject.parents[0].id` is required"),
        ({"action": {}}, "`action.name` is required"),
        ({"context": []}, "`context` must be an object"),
        ({"context": {"supported_obligations": [1]}}, "`context.supported_obligations[0]` must be a string"),
        ({"context": {"a": {"b": [{"type": "x", "id": "", "properties": {}}]}}}, "in `context`: `a.b[0].id` must be a"),
    ],
)
def test_a_message_names_the_place_and_no_value(value: dict[str, Any], message: str) -> None:
    with pytest.raises(Malformed) as refused:
        arguments(**value)
    assert refused.value.message.startswith(message)
