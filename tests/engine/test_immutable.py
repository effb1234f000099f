"""What the host does with its own values afterwards, or with what it was given, changes nothing for anybody."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine

POLICIES = """
module m
use ai
extend Document { tags: Set<String>, meta: Json }
extend User { tags: Set<String> }
permit support: call on Tool for User when "support" in principal.roles
permit leads: release on Output for User when principal in Group::"leads"
permit mail: invoke on Model for User when principal.email == "ann@acme.example"
permit tagged: retrieve on Document for User
  when contains_any(document.tags, principal.tags) or lower(document.owner) in principal.tags
require mask: call on Tool
  redact(["email", "secret"])
"""
ANN = {"type": "User", "id": "ann"}


def entities() -> list[dict[str, Any]]:
    parents = [{"type": "Group", "id": "leads"}]
    email = "ann@acme.example"
    return [{"type": "User", "id": "ann", "roles": ["support"], "email": email, "tags": ["a"], "parents": parents}]


ASKED = (("call", "Tool"), ("release", "Output"), ("invoke", "Model"))


def answers(engine: Engine) -> list[str]:
    return [engine.decide(principal=ANN, action=a, resource={"type": t, "id": "x"}).decision for a, t in ASKED]


@pytest.mark.parametrize("asked_before", [0, 1, 3])
@pytest.mark.parametrize("reloaded", [False, True])
def test_the_hosts_list_of_entities(asked_before: int, reloaded: bool) -> None:
    given = entities()
    engine = Engine.from_text(POLICIES, entities=given)
    revision = engine.revision
    for _ in range(asked_before):
        answers(engine)
    given[0]["roles"].clear()
    given[0]["parents"].clear()
    given[0]["email"] = "gone"
    given.append({"type": "User", "id": "eve"})
    if reloaded:
        assert engine.reload().ok
    assert answers(engine) == ["allow"] * 3
    assert engine.revision == revision
    assert engine.search_principals(
        principal_type="User", action="release", resource={"type": "Output", "id": "x"}
    ) == [ANN]


def test_what_a_filter_keeps() -> None:
    principal: dict[str, Any] = {"type": "User", "id": "bob", "tags": ["a"]}
    resource: dict[str, Any] = {"meta": {"k": 1}}
    context: dict[str, Any] = {"tenant": {"type": "Tenant", "id": "t"}}
    found = Engine.from_text(POLICIES).filter(
        principal=principal, action="retrieve", resource_type="Document", resource=resource, context=context
    )
    said = found.explain()
    document = {"id": "d", "tags": ["z"], "owner": "Z", "meta": {}}
    assert not found.matches(document)
    principal["tags"].append("z")
    principal["parents"] = 5
    resource["tags"] = ["a"]
    context["agent"] = 5
    assert not found.matches(document)
    assert found.matches({**document, "tags": ["a"]})
    assert found.explain() == said


CHANGES: tuple[Callable[[Any], object], ...] = (
    lambda p: p["kinds"].clear(),
    lambda p: p["kinds"].append("x"),
    lambda p: p["kinds"].__setitem__(0, "x"),
    lambda p: p["kinds"].sort(reverse=True),
    lambda p: p["kinds"].__delitem__(0),
    lambda p: p["kinds"].__iadd__(["x"]),
    lambda p: p.clear(),
    lambda p: p.update(kinds=[]),
    lambda p: p.__setitem__("kinds", []),
    lambda p: p.__delitem__("kinds"),
    lambda p: p.pop("kinds"),
    lambda p: p.setdefault("more", 1),
    lambda p: p.__ior__({"kinds": []}),
)


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_what_a_decision_shows(number: int) -> None:
    engine = Engine.from_text(POLICIES, entities=entities())
    asked: dict[str, Any] = {"principal": ANN, "action": "call", "resource": {"type": "Tool", "id": "x"}}
    shown = engine.decide(**asked).obligations[0].properties
    with pytest.raises(TypeError):
        CHANGES[number](shown)
    assert engine.decide(**asked).obligations[0].properties == {"kinds": ["email", "secret"]}


def test_what_a_decision_shows_is_still_plain_data() -> None:
    engine = Engine.from_text(POLICIES, entities=entities())
    shown = engine.decide(principal=ANN, action="call", resource={"type": "Tool", "id": "x"}).obligations[0].properties
    assert json.dumps(shown) == '{"kinds": ["email", "secret"]}'
    own: Any = copy.deepcopy(shown)
    own["kinds"].append("mine")
    assert own == {"kinds": ["email", "secret", "mine"]}
    assert shown == {"kinds": ["email", "secret"]}
