"""What very many rules cannot be evaluated for is found out once, and known the next time."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.evaluate.decide import decide
from policyengine.model.request import request
from tests.support.steps import steps

USER = {"type": "User", "id": "u"}


def _engine(rules: int) -> Engine:
    text = "".join(f"permit p{n}: retrieve on Document when document.level + {n} < 0\n" for n in range(rules))
    return Engine.from_text("module m\nuse ai\nextend Document { level: Int, other: Int }\n" + text)


def _ask(engine: Engine, **attributes: Any) -> Any:
    return engine.decide(principal=USER, action="retrieve", resource={"type": "Document", "id": "d", **attributes})


@pytest.mark.parametrize("wrong", [{}, {"level": "x"}, {"level": [1]}])
@pytest.mark.parametrize("rules", [100, 1_000])
def test_what_is_missing_or_mistyped_costs_what_a_good_request_does(rules: int, wrong: dict[str, Any]) -> None:
    engine = _engine(rules)
    for _ in range(3):
        _ask(engine, level=1)
        _ask(engine, **wrong)
    assert steps(lambda: _ask(engine, **wrong)) < 2 * steps(lambda: _ask(engine, level=1)) + 200


def test_rules_that_read_the_same_first_are_asked_each_for_the_rest() -> None:
    text = "".join(
        f"permit p{n}: retrieve on Document when document.level {sign} {n} and document.other > {n}\n"
        for n, sign in enumerate(("<", ">", "!=", ">=", "<=", "<", ">"))
    )
    engine = Engine.from_text("module m\nuse ai\nextend Document { level: Int, other: Int }\n" + text)
    snapshot = engine.snapshot
    for attributes in ({}, {"level": 3}, {"level": "x", "other": 1}, {"level": 3, "other": 4}, {"other": 4}):
        asked = {"type": "Document", "id": "d", **attributes}
        whole = request(USER, "retrieve", asked, {})
        expected = decide(snapshot.policies, snapshot.schema, snapshot.world, whole, (), engine.revision)
        assert _ask(engine, **attributes) == _ask(engine, **attributes) == expected


@pytest.mark.parametrize("wrong", [{}, {"level": "x"}])
def test_twice_as_many_rules_that_err_are_twice_the_work(wrong: dict[str, Any]) -> None:
    def work(rules: int) -> int:
        engine = _engine(rules)
        _ask(engine, **wrong)
        return steps(lambda: _ask(engine, **wrong))

    assert work(600) < 2.2 * work(300)


def test_what_is_known_of_one_fault_says_nothing_of_another() -> None:
    engine = _engine(150)
    asked: list[dict[str, Any]] = [
        {},
        {"level": "x"},
        {"level": None},
        {"level": 1.5},
        {"level": 1},
        {},
        {"level": "y"},
    ]
    fresh = [_ask(_engine(150), **each) for each in asked]
    for _ in range(2):
        assert [_ask(engine, **each) for each in asked] == fresh
    assert len({each.errors for each in fresh}) > 3
