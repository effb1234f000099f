"""What is lowered once for the same answers, alone and put together of several."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from policyengine.model.entities import World
from policyengine.model.request import request
from policyengine.partial import formula_skeleton
from policyengine.partial.formula import Hole, HoleAnswer
from policyengine.partial.formula_skeleton import Lowered
from policyengine.partial.gap_caller import GapCaller
from policyengine.partial.lowering import AskHole

ANSWERS: tuple[HoleAnswer, ...] = ("some", "none", "errs")


def hole(name: str) -> Hole:
    def find(caller: Any) -> tuple[HoleAnswer, Any]:
        caller.request.context["asked"].append(name)
        return caller.request.context[name], None

    return Hole(False, find)


FIRST, SECOND, THIRD = hole("first"), hole("second"), hole("third")


def caller(*answers: HoleAnswer) -> GapCaller:
    said = {**dict(zip(("first", "second", "third"), answers, strict=True)), "asked": []}
    asked = request({"type": "User", "id": "u"}, "read", {"type": "Doc", "id": ""}, said)
    return GapCaller(asked, World())


def either(ask: AskHole) -> str:
    return f"{ask(FIRST)} {ask(SECOND)}" if ask(FIRST) == "some" else ask(FIRST)


def other(ask: AskHole) -> str:
    return ask(THIRD) if ask(SECOND) == "some" else f"{ask(SECOND)} {ask(FIRST)}"


@pytest.mark.parametrize("most", [1, formula_skeleton.MAX_BRANCHES])
def test_what_is_put_together_is_what_each_comes_to(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formula_skeleton, "MAX_BRANCHES", most)
    one, two = Lowered(either), Lowered(other)
    both = Lowered(lambda ask: (one.answered(ask), two.answered(ask)))
    for answers in [*product(ANSWERS, repeat=3)] * 2:
        alone = Lowered(either).of(caller(*answers)), Lowered(other).of(caller(*answers))
        assert both.of(caller(*answers)) == alone, answers
        assert (one.of(caller(*answers)), two.of(caller(*answers))) == alone, answers


def test_each_hole_is_asked_once_and_what_is_known_is_not_lowered_again() -> None:
    lowerings: list[str] = []

    def counted(ask: AskHole) -> str:
        lowerings.append(made := either(ask))
        return made

    one, two = Lowered(counted), Lowered(other)
    both = Lowered(lambda ask: (one.answered(ask), two.answered(ask)))
    for _ in range(3):
        for answers in product(ANSWERS, repeat=3):
            asking = caller(*answers)
            both.of(asking)
            asked = asking.request.context["asked"]
            assert len(asked) == len(set(asked)), answers
    # Once for each way through the answers, and for no caller that comes again.
    assert sorted(lowerings) == sorted({"errs", "none", *(f"some {second}" for second in ANSWERS)})
