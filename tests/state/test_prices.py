"""What tokens cost: own prices, the table, what has no price, and the same when a reservation is settled."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine
from policyengine.settings.prices import PriceSettings
from policyengine.state.grant import SettleError
from policyengine.state.price_table import price_table
from policyengine.state.prices import NoPrice, Price, Prices, TokenCounts
from policyengine.state.stores.sqlite import Sqlite

POLICIES = """
module p
use ai
permit models: invoke on Model
limit money: invoke on Model
  at most 1 of cost.usd per 1h by principal
limit thinking: invoke on Model
  at most 1000 of cost.reasoning per 1h by principal
"""
OWN = Prices({
    "big": Price(Decimal(100), Decimal(1_000), cached=Decimal(10), reasoning=Decimal(2_000)),
    "alias": "big",
    "nowhere": "nosuch",
})  # fmt: skip


def engine(prices: Prices = OWN, **more: Any) -> Engine:
    made = Engine.from_text(POLICIES, **more)
    made.prices = prices
    return made


def asked(model: str, **cost: Any) -> dict[str, Any]:
    cost = {"reasoning": 0, **cost}
    resource = {"type": "Model", "id": model}
    return {
        "principal": {"type": "User", "id": "ann"}, "action": "invoke", "resource": resource, "context": {"cost": cost}
    }  # fmt: skip


@pytest.mark.parametrize("model", ["big", "alias"])
def test_each_kind_of_token_has_its_price(model: str) -> None:
    grant = engine().authorize(**asked(model, input=1_000, cached=400, output=100, reasoning=60))
    # 600 at 100, 400 at 10, 40 at 1,000 and 60 at 2,000, for a million.
    assert {limit.rule: limit.used for limit in grant.limits} == {"p.money": 0.224, "p.thinking": 60.0}


def test_what_the_caller_says_is_never_changed() -> None:
    grant = engine().authorize(**asked("big", input=1_000, usd=0.5))
    assert grant.limits[0].used == 0.5


@pytest.mark.parametrize(
    ("model", "cost", "why"),
    [
        ("nosuch", {"input": 1}, "no price is known of the model `nosuch`"),
        ("nowhere", {"input": 1}, "no price is known"),
        ("big", {"input": 1, "audio": 3}, "a kind of usage"),
        ("big", {"input": 1, "cached": 2}, "`cached` is part of `input`"),
        ("big", {"input": 1.5}, "whole numbers"),
        ("big", {"output": -1}, "whole numbers"),
    ],
)
def test_what_has_no_price_is_denied_where_a_rule_needs_it(model: str, cost: dict[str, Any], why: str) -> None:
    grant = engine().authorize(**asked(model, **cost))
    assert not grant.allowed
    assert [error.code for error in grant.decision.errors][-1] == "POL573"
    assert why in grant.decision.errors[-1].message
    free = Engine.from_text(POLICIES.split("limit money")[0])
    assert free.authorize(**asked(model, **cost)).allowed


def test_tokens_are_priced_when_a_reservation_is_settled_in_any_process(tmp_path: Path) -> None:
    store = Sqlite(tmp_path / "state.db")
    grant = engine(state=store).authorize(**asked("big", input=1_000, output=100, cached=0))
    assert grant.limits[0].used == 0.2
    again = engine(state=store).reservation(grant.id)
    assert again is not None
    with pytest.raises(SettleError, match="a kind of usage"):
        again.settle({"output": 10, "audio": 1})
    assert again.settle({"output": 10})[0].used == 0.11
    store.close()


def test_the_table_knows_models_by_their_names_and_not_by_how_they_begin() -> None:
    table = price_table()
    assert table("gpt-4o", "", TokenCounts(input=1_000, cached=400, output=100)) == Decimal("0.0030")
    assert table("claude-sonnet-4-5", "anthropic", TokenCounts(input=1_000_000, output=0)) > 0
    for model in ("claude-sonnet-4-5-and-more", "nosuch", "", "gpt-4o-foo"):
        with pytest.raises(NoPrice):
            table(model, "", TokenCounts(input=1))
    with pytest.raises(NoPrice):
        table("gpt-4o", "nosuch", TokenCounts(input=1))


def test_settings_say_prices() -> None:
    said = {"table": True, "models": {"big": {"input": "100", "output": 1000}, "gpt-4o": {"like": "big"}}}
    prices = PriceSettings.model_validate(said).prices()
    assert prices.usd(TokenCounts(input=1_000_000), {"type": "Model", "id": "gpt-4o"}) == 100
    assert prices.usd(TokenCounts(input=1_000_000), {"type": "Model", "id": "gpt-4o-mini"}) == Decimal("0.15")
    for wrong in ({}, {"input": 1}, {"like": "x", "input": 1, "output": 1}, {"input": -1, "output": 1}):
        with pytest.raises(ValueError, match=r"price|greater"):
            PriceSettings.model_validate({"models": {"m": wrong}})
