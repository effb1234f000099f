"""Ceilings relative to the past, from the policy to the answer; what stores count is the law of `test_ledger.py`."""

from __future__ import annotations

from typing import Any

import pytest

from policyengine import Engine
from policyengine.state.stores.memory import Memory
from policyengine.state.windows import SECOND, mean_length

DAY = 86_400
HEAD = "module m\nuse ai\npermit models: invoke on Model\nlimit usual: invoke on Model\n  "


class Days:
    """An engine whose clock a test sets, in days."""

    def __init__(self, limit: str) -> None:
        self.at = 20_000 * DAY
        # The host's clock tells the calendar's periods, the store's which of them it is: they may differ by one.
        self.engine = Engine.from_text(HEAD + limit, state=Memory(lambda: self.at * SECOND))

    def spend(self, tokens: int, who: str = "ann") -> Any:
        return self.engine.authorize(
            principal={"type": "User", "id": who},
            action="invoke",
            resource={"type": "Model", "id": "m"},
            context={"cost": {"tokens": tokens}},
        )


def test_a_key_may_spend_a_share_of_what_it_did_and_a_new_one_the_floor() -> None:
    days = Days("at most 200% of the average over 2h of cost.tokens per 1h by principal at least 100")
    assert days.spend(101).retry_after is None
    granted = days.spend(100)
    assert [limit.ceiling for limit in granted.limits] == [100]
    granted.settle({"tokens": 400})
    # More than the floor was spent, and will be what is usual once the hour is over.
    denied = days.spend(1)
    assert (denied.allowed, denied.limits[0].ceiling) == (False, 100)
    days.at += denied.retry_after - 1
    assert not days.spend(1).allowed
    days.at += 1
    assert days.spend(1).limits[0].ceiling == 400
    assert [limit.ceiling for limit in days.spend(1, "bob").limits] == [100]
    days.at += 3 * 3_600
    assert days.spend(1).limits[0].ceiling == 100


def test_a_meter_whose_limit_becomes_relative_goes_on_and_remembers_from_then_on() -> None:
    store = Memory()
    ask = {"principal": {"type": "User", "id": "ann"}, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    plain = Engine.from_text(HEAD + "at most 3 requests per 1h by principal", state=store)
    assert [plain.authorize(**ask).allowed for _ in range(2)] == [True, True]
    text = HEAD + "at most 150% of the average over 2h requests per 1h by principal at least 3"
    relative = Engine.from_text(text, state=store)
    assert [relative.authorize(**ask).allowed for _ in range(2)] == [True, False]
    assert plain.authorize(**ask).limits[0].used == 3
    assert [row.ceiling for row in relative.meters.usage()] == [3]


@pytest.mark.parametrize(("per", "seconds"), [(60.0, 60), ("day", DAY), ("month", 30.436875 * DAY)])
def test_periods_have_a_length(per: float | str, seconds: float) -> None:
    assert mean_length(per) == seconds * SECOND
