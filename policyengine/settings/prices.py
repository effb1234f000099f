"""Settings about prices: what the tokens of models cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policyengine.state.price_table import price_table
from policyengine.state.prices import Price, Prices

Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class OwnPrice(_Part):
    """The price of the tokens of one model, in US dollars per million; or another model with the same price."""

    input: Usd | None = None
    output: Usd | None = None
    cached: Usd | None = Field(None, description="for those of `input` that were cached; as `input` if not given")
    reasoning: Usd | None = Field(
        None, description="for those of `output` that were reasoning; as `output` if not given"
    )
    like: str | None = Field(None, description="another model with the same price")

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        given = [each for each in (self.input, self.output, self.cached, self.reasoning) if each is not None]
        if (self.like is None) == (self.input is None or self.output is None) or (self.like is not None and given):
            raise ValueError("a price is `input` and `output`, or `like` another model")
        return self

    def price(self) -> Price | str:
        if self.input is None or self.output is None:
            return self.like or ""
        return Price(self.input, self.output, self.cached, self.reasoning)


class PriceSettings(_Part):
    """The prices of tokens, for callers that do not send `cost.usd`."""

    table: bool = Field(False, description="use the table of the package `genai-prices`")
    models: dict[str, OwnPrice] = Field(
        {}, description="your own prices, by the id of a model; they win over the table"
    )

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        self.prices()
        return self

    def prices(self) -> Prices:
        own = {model: price.price() for model, price in self.models.items()}
        return Prices(own, price_table() if self.table else None)
