"""Prices of models as data, from `genai-prices`: `pip install policyengine-ai[prices]`. The only file that uses it.

Only models that the table names have a price: a model whose name only begins the same may cost anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from policyengine.state.prices import NoPrice, PriceTable, TokenCounts


class NoTable(ValueError):
    """The library is not installed."""


def price_table() -> PriceTable:
    """The table. Raises NoTable."""
    try:
        import genai_prices
        from genai_prices import data_snapshot, types
    except ImportError:
        raise NoTable("the table of prices needs `pip install policyengine-ai[prices]`") from None

    def names(match: Any, model: str) -> bool:
        if isinstance(match, types.ClauseOr):
            return any(names(each, model) for each in match.or_)
        return isinstance(match, types.ClauseEquals) and match.equals.lower() == model

    def price(model: str, provider: str, tokens: TokenCounts) -> Decimal:
        try:
            known = data_snapshot.get_snapshot()
            seller, model_found = known.find_provider_model(model, None, provider or None, None)
        except LookupError:
            raise NoPrice(f"no price is known of the model `{model}`") from None
        if model_found.id.lower() != model.lower() and not names(model_found.match, model.lower()):
            raise NoPrice(f"no price is known of the model `{model}`, only of one whose name begins so")
        usage = genai_prices.Usage(
            input_tokens=tokens.input,
            cache_read_tokens=tokens.cached,
            output_tokens=tokens.output,
            output_reasoning_tokens=tokens.reasoning,
        )
        try:
            return genai_prices.calc_price(usage, model, provider_id=seller.id).total_price
        except (LookupError, ValueError, TypeError):
            raise NoPrice(f"the tokens of the model `{model}` have no price") from None

    return price
