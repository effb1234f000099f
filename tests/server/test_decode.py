"""AuthZEN's entities to the engine's: flat, and never with an identity that came as a property."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine.server import decode
from policyengine.server.errors import Malformed

BASE: dict[str, Any] = {
    "subject": {"type": "User", "id": "ann"},
    "action": {"name": "call"},
    "resource": {"type": "Tool", "id": "t"},
}


def arguments(**members: Any) -> decode.Arguments:
    return decode.evaluation({**BASE, **members})


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
        "g": {"type": "x", "id": "y", "properties": {}},
    }
    entity = {"type": "User", "id": "ann", "properties": properties}
    assert arguments(subject=entity)["principal"] == {"type": "User", "id": "ann", **properties}


def test_properties_never_override_the_identity() -> None:
    properties = {"type": "Admin", "id": "root", "name": "x"}
    flat = arguments(subject={"type": "User", "id": "ann", "properties": properties})["principal"]
    assert flat == {"type": "User", "id": "ann", "name": "x"}
    action = arguments(action={"name": "call", "properties": {"name": "release", "type": "x"}})["action"]
    assert action == {"name": "call", "type": "x"}


def test_members_beside_properties_are_no_attributes() -> None:
    assert arguments(subject={"type": "User", "id": "ann", "role": "admin"})["principal"] == BASE["subject"]


def test_parents_may_be_given_beside_the_id() -> None:
    group = {"type": "Group", "id": "legal"}
    for subject in ({"parents": [group]}, {"properties": {"parents": [group]}}):
        assert arguments(subject={"type": "User", "id": "ann", **subject})["principal"]["parents"] == [group]
    with pytest.raises(Malformed, match="both"):
        arguments(subject={"type": "User", "id": "ann", "properties": {"parents": []}, "parents": [group]})
    for wrong in ("legal", [None], [{"type": "Group"}], {}):
        with pytest.raises(Malformed):
            arguments(subject={"type": "User", "id": "ann", "properties": {"parents": wrong}})


def test_agents_are_flattened_at_any_depth() -> None:
    bad = {"type": "Agent", "id": "bad", "properties": {"tenant": "evil"}}
    agent = {"type": "Agent", "id": "good", "delegated_by": bad}
    flat = {"type": "Agent", "id": "good", "delegated_by": {"type": "Agent", "id": "bad", "tenant": "evil"}}
    assert arguments(context={"agent": agent})["context"] == {"agent": flat}
    with pytest.raises(Malformed, match="both beside and in"):
        arguments(context={"agent": {**bad, "tenant": "acme"}})


@pytest.mark.parametrize("properties", [{}, {"tenant": "acme"}])
def test_context_members_are_flattened(properties: dict[str, Any]) -> None:
    agent = {"type": "Agent", "id": "helper", "properties": {**properties, "id": "root"}}
    context = {"agent": agent, "now": 1, "record": {"properties": {"a": 1}}, "flat": {"type": "A", "id": "b", "x": 1}}
    assert arguments(context=context)["context"] == {
        **context,
        "agent": {"type": "Agent", "id": "helper", **properties},
    }


def test_the_agents_behind_an_agent_are_flattened() -> None:
    behind = {"type": "Agent", "id": "two", "properties": {"tenant": "acme"}}
    agent = {"type": "Agent", "id": "one", "properties": {"delegated_by": behind}}
    assert arguments(context={"agent": agent})["context"]["agent"] == {
        "type": "Agent",
        "id": "one",
        "delegated_by": {"type": "Agent", "id": "two", "tenant": "acme"},
    }


def test_a_request_is_not_changed_by_decoding() -> None:
    request = {**BASE, "context": {"agent": {"type": "Agent", "id": "a", "properties": {"x": 1}}}}
    before = repr(request)
    decode.evaluation(request)
    assert repr(request) == before
