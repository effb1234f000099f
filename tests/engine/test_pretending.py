"""Objects that pretend to be something else.

A text of a subclass is its plain text, whatever it makes of that; anything that is not a builtin value is an error, on
every way, and nothing raises."""

from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from policyengine import Engine
from policyengine.model.decision import Decision
from tests.support.evaluators import FAST, evaluator, reference

POLICIES = """
module m
use ai
extend User { boss: User, meta: Json }
permit acme: call on Tool for User when principal.tenant == "acme"
permit admin: call on Tool for User when "admin" in principal.roles
permit some: call on Tool for User when contains_any(principal.roles, ["root", "admin"])
permit known: call on Tool for User when principal.id == "root"
permit boss: call on Tool for User when principal.boss == User::"root"
permit meta: call on Tool for User when principal.meta == "acme"
permit args: call on Tool for User when tool.args.to == "acme"
permit group: call on Tool for User in Group::"staff"
forbid eve: call on Tool for User when principal.tenant == "eve" or "eve" in principal.roles or principal.id == "eve"
permit own: retrieve on Document for User when document.tenant == principal.tenant or "acme" in document.labels
"""


class Same(str):
    """Equal to everything, by its own account."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return hash("acme")

    def __str__(self) -> str:
        return "acme"


class Other(str):
    """Equal to nothing."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Spoofed:
    """Says that it is of another class."""

    def __init__(self, kind: type) -> None:
        self._kind = kind

    @property
    def __class__(self) -> Any:
        return self._kind


def principal(**more: Any) -> dict[str, Any]:
    boss = {"type": "User", "id": "b"}
    base = {"type": "User", "id": "ann", "tenant": "globex", "roles": ["x"], "boss": boss, "meta": 1, "parents": []}
    return {**base, **more}


def asked(**more: Any) -> dict[str, Any]:
    tool = {"type": "Tool", "id": "t", "args": {"to": "x"}}
    return {"principal": principal(), "action": "call", "resource": tool, "context": {}, **more}


TEXTS = (Same, Other)
PLACES: dict[str, Any] = {
    "tenant": lambda t: asked(principal=principal(tenant=t)),
    "a role": lambda t: asked(principal=principal(roles=[t])),
    "a role of several": lambda t: asked(principal=principal(roles=["x", t])),
    "a role in a set": lambda t: asked(principal=principal(roles={t})),
    "id": lambda t: asked(principal=principal(id=t)),
    "type": lambda t: asked(principal=principal(type=t)),
    "id of a reference": lambda t: asked(principal=principal(boss={"type": "User", "id": t})),
    "type of a reference": lambda t: asked(principal=principal(boss={"type": t, "id": "root"})),
    "a group": lambda t: asked(principal=principal(parents=[{"type": "Group", "id": t}])),
    "type of a group": lambda t: asked(principal=principal(parents=[{"type": t, "id": "staff"}])),
    "Json": lambda t: asked(principal=principal(meta=t)),
    "an argument": lambda t: asked(resource={"type": "Tool", "id": "t", "args": {"to": t}}),
    "a tool": lambda t: asked(resource={"type": "Tool", "id": t, "args": {"to": "x"}}),
    "type of the resource": lambda t: asked(resource={"type": t, "id": "t", "args": {"to": "x"}}),
    "action": lambda t: asked(action=t),
    "name of the action": lambda t: asked(action={"name": t}),
}
WORDS = ("acme", "admin", "root", "eve", "staff", "User", "Group", "Tool", "call", "globex")


def everywhere(engine: Engine, request: dict[str, Any]) -> list[Decision]:
    snapshot = engine.snapshot
    found = [reference(snapshot, request), engine.decide(**request), engine.explain(**request).decision]
    found += [*engine.decide_many([request]), engine.decide(**request)]
    for kind in FAST:
        one = evaluator(snapshot, kind)
        found += [one.decide(**request) for _ in range(3)]
    return found


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine.from_text(POLICIES)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("place", PLACES)
def test_a_text_of_a_subclass_is_its_plain_text(engine: Engine, place: str, text: type[str]) -> None:
    # What well-formed requests look like is known by then.
    engine.decide(**asked())
    for word in WORDS:
        plain = reference(engine.snapshot, PLACES[place](str(word)))
        assert everywhere(engine, PLACES[place](text(word))) == [plain] * (5 + 3 * len(FAST))


@pytest.mark.parametrize("text", TEXTS)
def test_documents_and_callers_of_a_filter(engine: Engine, text: type[str]) -> None:
    def found(tenant: Any, document: dict[str, Any]) -> bool:
        asking = {"type": "User", "id": "ann", "tenant": tenant, "roles": []}
        return engine.filter(principal=asking, action="retrieve", resource_type="Document").matches(document)

    for word in ("acme", "globex"):
        for label in ("acme", "x"):
            plain = found("acme", {"id": "d", "tenant": word, "labels": [label]})
            assert found(text("acme"), {"id": "d", "tenant": word, "labels": [label]}) is plain
            assert found("acme", {"id": "d", "tenant": text(word), "labels": [label]}) is plain
            assert found("acme", {"id": "d", "tenant": word, "labels": [text(label)]}) is plain
            assert found("acme", {"id": "d", "tenant": word, "labels": ["y", text(label)]}) is plain


ODD: dict[str, Any] = {
    **{f"spoofed {kind.__name__}": Spoofed(kind) for kind in (str, dict, list, int, bool, float, tuple)},
    "a mock of text": Mock(spec=str),
    "a mock of an object": MagicMock(spec=dict),
    "a mock of a list": MagicMock(spec=list),
    "a mock": MagicMock(),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_value_is_an_error_and_raises_nowhere(engine: Engine, place: str, odd: str) -> None:
    request = PLACES[place](ODD[odd])
    expected = reference(engine.snapshot, request)
    assert expected.decision == "deny"
    assert everywhere(engine, request) == [expected] * (5 + 3 * len(FAST))


@pytest.mark.parametrize("odd", ODD)
def test_nothing_passes_the_filter_of_what_is_no_value(engine: Engine, odd: str) -> None:
    thing = ODD[odd]
    for asking in (thing, principal(tenant=thing), principal(id=thing), principal(type=thing)):
        found = engine.filter(principal=asking, action="retrieve", resource_type="Document")
        assert not found.matches({"id": "d", "tenant": "acme", "labels": []})
    found = engine.filter(principal=principal(), action="retrieve", resource_type="Document")
    for document in (thing, {"id": thing, "tenant": "globex"}, {"id": "d", "tenant": thing, "labels": []}):
        assert not found.matches(document)
    assert engine.filter(principal=principal(), action=thing, resource_type="Document").errors


@pytest.mark.parametrize("odd", ODD)
def test_rules_are_not_looked_up_by_what_is_no_value(odd: str) -> None:
    made = Engine.from_text('use ai\npermit p: call on Tool when principal is User and principal.email == "root"\n')
    asking = {"type": "User", "id": "ann", "email": ODD[odd]}
    found = made.filter(principal=asking, action="call", resource_type="Tool")
    assert not found.matches({"id": "t"})
    assert made.search_resources(principal=asking, action="call", resource_type="Tool") == []
