"""Constants that do not go together are findings, wherever a constant is looked at for what it comes to."""

from __future__ import annotations

import pytest

from policyengine import Engine
from policyengine.bundle import load_text

ILL_TYPED = (
    '1 + "a"', '"a" - 1', '-("a")', "-(true)", "true * 2", "1 + [1]", "[1] - [2]", "-([1])",
    "1h + 1", "1h * 1h", "if true then 1 else (1 + \"a\")", '2 * (1 + "a")', "1 + { a: 1 }", '-(1 + "a")',
)  # fmt: skip
LIMITS = (
    "at most ({}) requests per 1m by principal",
    "at most 10 of ({}) per 1m by principal",
    "at most 200% of the average over 7d of cost.tokens per day by principal at least ({})",
)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", ILL_TYPED)
def test_a_limit(limit: str, value: str) -> None:
    good = load_text(f"use ai\nlimit l: invoke on Model {limit.format('1 + 1')}")
    assert good.snapshot is not None, good.diagnostics
    loaded = load_text(f"use ai\nlimit l: invoke on Model {limit.format(value)}")
    assert loaded.snapshot is None
    assert loaded.diagnostics


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("value", ["-(null)", "1 + null"])
def test_a_limit_whose_null_is_found_out_later(limit: str, value: str) -> None:
    """`null` is JSON, of which only evaluation tells the type: such a limit errs, and denies."""
    engine = Engine.from_text(f"use ai\npermit p: invoke on Model\nlimit l: invoke on Model {limit.format(value)}")
    asked = {"principal": {"type": "User", "id": "u"}, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    grant = engine.authorize(**asked, context={"cost": {"tokens": 1}})
    assert not grant.allowed
    assert [error.rule for error in grant.decision.errors] == ["policy.l"]
