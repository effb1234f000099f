"""Generated code takes some collections as they came and others in the interpreter's form: whichever of the two an
operand has, on whichever side, the decision is the interpreter's."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.bundle import load_text
from tests.support.evaluators import reference

ANN = {"type": "User", "id": "ann"}
VALUES: tuple[tuple[str, Any], ...] = (
    ("List<String>", ["a", "b"]),
    ("List<String>", []),
    ("List<String>(max: 3)", ["a"]),
    ("Set<String>", ["b", "a"]),
    ("List<Int>", [1]),
    ("List<Number>", [1, 1.0]),
    ("List<Bool>", [True]),
    ("List<Time>", ["2026-01-31T12:00:00Z"]),
    ("List<Ip>", ["10.0.0.1"]),
    ("List<User>", [ANN]),
    ("Set<User>", [ANN]),
    ("List<Json>", ["a", 1, None, [True]]),
    ("Json", ["a", {"k": 1}]),
    ("List<List<String>>", [["a"], []]),
    ("List<Set<String>>", [["a", "b"], ["b", "a"]]),
    ("Set<List<Int>>", [[1], [2]]),
)
EITHER = "(if doc.first then doc.a else doc.b)"
CONDITIONS = (
    "doc.a == doc.b",
    f"{EITHER} == doc.a",
    f"doc.a == {EITHER}",
    f"{EITHER} != doc.b",
    f"{EITHER} == {EITHER}",
    "[doc.a] == [doc.b]",
    f"[doc.a] == [{EITHER}]",
    "(if doc.first then [doc.a] else [doc.b]) == [doc.b]",
    f"doc.a in [{EITHER}]",
    f"{EITHER} in [doc.a, doc.b]",
    "any x in [doc.a]: x == doc.b",
    "any x in [doc.a]: x in [doc.b]",
    "any x in doc.a: x in doc.b",
    "all x in doc.a: any y in doc.b: x == y",
    f"any x in {EITHER}: x in doc.a",
    f"all x in {EITHER}: x in doc.a and {EITHER} == doc.b",
    f"contains_any([doc.a], [{EITHER}])",
    f"contains_all(doc.a, {EITHER})",
    f"size(union(doc.a, {EITHER})) > 1",
    f"texts({EITHER}) == texts(doc.b)",
    "(doc has more and doc.more == doc.a)",
    f"(doc has more and doc.more != {EITHER})",
)


@pytest.mark.parametrize(("type_", "value"), VALUES, ids=[f"{of} {value}" for of, value in VALUES])
def test_every_operand(type_: str, value: Any) -> None:
    accepted = 0
    for condition in CONDITIONS:
        text = (
            f"entity User\nentity Doc {{ a: {type_}, b: {type_}, more?: {type_}, first: Bool }}\naction read on Doc\n"
            f"permit p: read on Doc when {condition}\n"
        )
        if load_text(text).snapshot is None:
            continue  # not every type has every operator
        accepted += 1
        engine = Engine.from_text(text)
        for document in (
            {"a": value, "b": value, "more": value, "first": True},
            {"a": value, "b": value[::-1], "first": False},
            {"a": value, "b": [], "more": value, "first": True},
            {"a": [], "b": value, "more": [], "first": False},
        ):
            asked: dict[str, Any] = {
                "principal": ANN,
                "action": "read",
                "resource": {"type": "Doc", "id": "d", **document},
            }
            expected = reference(engine.snapshot, {**asked, "context": {}})
            assert [engine.decide(**asked) for _ in range(2)] == [expected] * 2, (condition, document)
            matches = engine.filter(principal=ANN, action="read", resource_type="Doc").matches
            assert matches({"id": "d", **document}) is expected.allowed, (condition, document)
    assert accepted > 5
