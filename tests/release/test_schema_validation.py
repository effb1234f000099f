"""A schema and a text that somebody sends cost what is known before, and nothing is fetched for them."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest

from policyengine.release.validity import Expected, Violation, problems


@pytest.mark.parametrize(
    "reference", ["http://127.0.0.1:9/x", "https://example.org/s", "file:///etc/passwd", "other.json", 7]
)
def test_nothing_outside_a_schema_is_fetched(reference: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def connected(*_: Any) -> None:
        raise AssertionError("somebody connects")

    monkeypatch.setattr(socket.socket, "connect", connected)
    with pytest.raises(ValueError, match="outside itself"):
        Expected(schema={"properties": {"a": {"anyOf": [{"$ref": reference}]}}})


@pytest.mark.parametrize(
    "schema",
    [{"patternProperties": {"a": {}}}, {"$dynamicRef": "#a"}, {"pattern": "("}, {"pattern": "(?=a)"}, {"type": 7}],
)
def test_what_has_no_bound_is_no_schema(schema: Any) -> None:
    with pytest.raises(ValueError, match=r"not read here|not an expression|not a JSON Schema"):
        Expected(schema={"items": schema})


def test_expressions_are_linear_in_the_text() -> None:
    expected = Expected(schema={"pattern": "^(a+)+$"})
    assert problems(json.dumps("a" * 100_000 + "!"), expected) == (Violation("", "pattern"),)
    assert problems(json.dumps("a" * 100_000), expected) == ()


def test_a_schema_that_doubles_at_each_step_ends() -> None:
    steps = {f"s{i}": {"anyOf": [{"$ref": f"#/$defs/s{i + 1}"}] * 2} for i in range(40)}
    schema = {"$defs": {**steps, "s40": False}, "$ref": "#/$defs/s0"}
    assert problems("1", Expected(schema=schema)) == (Violation("", "schema: too much work"),)


@pytest.mark.parametrize("schema", [{"$ref": "#/nowhere"}, {"$ref": "#"}])
def test_a_schema_that_cannot_be_followed_finds_nothing_valid(schema: Any) -> None:
    assert problems("1", Expected(schema=schema))


@pytest.mark.parametrize(
    ("items", "unique"),
    [([1, 2], True), ([1, 1.0], False), ([1, True], True), ([{"a": 1}, {"a": 1.0}], False), ([[1], ["1"]], True)],
)
def test_elements_are_told_apart(items: list[Any], unique: bool) -> None:
    found = problems(json.dumps(items), Expected(schema={"uniqueItems": True}))
    assert (found == ()) == unique


def test_many_elements_are_told_apart_by_their_text() -> None:
    items = [{"a": i} for i in range(20_000)]
    assert problems(json.dumps(items), Expected(schema={"uniqueItems": True})) == ()
