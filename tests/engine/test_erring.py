"""What very many rules cannot be evaluated for is found out once, and known the next time."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from tests.support.steps import steps

USER = {"type": "User", "id": "u"}


def _engine(rules: int) -> Engine:
    text = "".join(f"permit p{n}: retrieve on Document when document.level + {n} < 0\n" for n in range(rules))
    return Engine.from_text("module m\nuse ai\nextend Document { level: Int, other: Int }\n" + text)


def _ask(engine: Engine, **attributes: Any) -> Any:
    return engine.decide(principal=USER, action="retrieve", resource={"type": "Document", "id": "d", **attributes})


def test_a_missing_attribute_costs_what_a_good_request_does() -> None:
    engine = _engine(1_000)
    for _ in range(3):
        _ask(engine, level=1)
        _ask(engine)
    assert steps(lambda: _ask(engine)) < 3 * steps(lambda: _ask(engine, level=1)) + 200


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
