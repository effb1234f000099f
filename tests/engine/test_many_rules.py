"""Very many rules on one action: loading them, and what becomes of a first request, takes work in their number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from policyengine import Engine
from tests.support.steps import steps

USER = {"type": "User", "id": "u"}
# More rules than go into one generated function.
FEW, MANY = 105, 210


def _text(rules: int, condition: str) -> str:
    head = f"module m{rules}\nuse ai\nextend Document {{ level: Int, owner: String }}\n"
    return head + "".join(
        f"permit p{n}: retrieve on Document when {condition.replace('{n}', str(n))}\n" for n in range(rules)
    )


def _first(engine: Engine) -> Callable[[], Any]:
    """The first requests: two in order, and two that no rule can be evaluated for."""
    asked: dict[str, Any] = {"principal": USER, "action": "retrieve"}

    def ask() -> None:
        for attributes in ({"level": 1, "owner": "x"}, {"level": 1, "owner": "x"}, {}, {"level": "x"}):
            engine.decide(**asked, resource={"type": "Document", "id": "d", **attributes})

    return ask


@pytest.mark.parametrize("condition", ["document.level == {n}", "document.level + {n} < 0"], ids=["table", "function"])
def test_twice_as_many_rules_are_twice_the_work(condition: str) -> None:
    loading, asking = {}, {}
    Engine.from_text(_text(1, condition))
    for rules in (FEW, MANY):
        text, made = _text(rules, condition), []
        loading[rules] = steps(lambda text=text, made=made: made.append(Engine.from_text(text)))
        asking[rules] = steps(_first(made[0]))
    for work in (loading, asking):
        assert work[MANY] < 2.2 * work[FEW]


def test_twice_as_many_rules_take_twice_the_room() -> None:
    def room(rules: int) -> int:
        tracemalloc.start()
        engine = Engine.from_text(_text(rules, "document.level > {n}"))
        _first(engine)()
        found = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return found

    room(1)
    assert room(100) < 2.2 * room(50)
