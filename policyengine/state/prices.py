"""What a request costs in money, from its tokens: `cost.usd` for a caller that gives only the number of tokens.

In: `context.cost` and the model. Out: the cost with `usd` and `tokens`, or NoPrice. A value that the caller gives is
never changed. Own prices take precedence over those of a table; the table is a function, so that nothing here depends
on a library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.decision import RuleError

# The kinds of tokens: `cached` are part of `input`, `reasoning` are part of `output`.
KINDS = ("input", "cached", "output", "reasoning")
_KNOWN = frozenset({*KINDS, "usd", "tokens"})
_MILLION = Decimal(1_000_000)


class NoPrice(Exception):
    """The cost of a request cannot be determined."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class TokenCounts:
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens. Without a price of their own, cached tokens cost what input does, and reasoning
    what output does."""

    input: Decimal
    output: Decimal
    cached: Decimal | None = None
    reasoning: Decimal | None = None

    def __post_init__(self) -> None:
        given = (self.input, self.output, self.cached, self.reasoning)
        if any(each is not None and not (each.is_finite() and each >= 0) for each in given):
            raise ValueError("a price must be a number of US dollars, and not negative")


# The price of tokens, from the model, its provider (empty if unknown) and the counts. Raises NoPrice.
PriceTable = Callable[[str, str, TokenCounts], Decimal]


@dataclass(frozen=True, slots=True)
class Prices:
    """`own` are prices by the id of a model; a text in place of a price names a model with the same price."""

    own: Mapping[str, Price | str] = field(default_factory=dict)
    table: PriceTable | None = None

    def cost(self, cost: Mapping[str, Any], resource: Any) -> dict[str, Any]:
        """The cost with the values derived from its tokens. Raises NoPrice."""
        tokens = _tokens(cost)
        full_cost = {**cost}
        full_cost.setdefault("tokens", tokens.input + tokens.output)
        if "usd" not in cost:
            full_cost["usd"] = float(self.usd(tokens, resource))
        return full_cost

    def usd(self, tokens: TokenCounts, resource: Any) -> Decimal:
        """The price of the tokens. `resource` is a model. Raises NoPrice."""
        attributes = resource if isinstance(resource, Mapping) else {}
        model = attributes.get("id")
        if attributes.get("type") != "Model" or not isinstance(model, str):
            raise NoPrice("only the tokens of a model have a price")
        price = self.own.get(model)
        if isinstance(price, str):
            model, price = price, self.own.get(price)
        if isinstance(price, Price):
            return _of(price, tokens)
        if self.table is None:
            raise NoPrice(f"no price is known of the model `{model}`")
        provider = attributes.get("provider")
        return self.table(model, provider if isinstance(provider, str) else "", tokens)


NO_PRICES = Prices()


def follows(cost: Any) -> bool:
    """Whether further values can be derived from a caller's cost."""
    return isinstance(cost, Mapping) and ("usd" not in cost or "tokens" not in cost) and not _KINDS.isdisjoint(cost)


_KINDS = frozenset(KINDS)


def priced(context: Any, resource: Any, prices: Prices) -> tuple[Any, RuleError | None]:
    """The context with the complete cost; and the reason if it cannot be determined. Then `usd` is missing, which is an
    error in every rule that reads it."""
    cost = context.get("cost") if isinstance(context, Mapping) else None
    if not isinstance(cost, Mapping) or not follows(cost):
        return context, None
    try:
        return {**context, "cost": prices.cost(cost, resource)}, None
    except NoPrice as error:
        return context, RuleError("", codes.NO_PRICE.id, error.message)


def actual(estimate: Any, said: Mapping[str, Any], resource: Any, prices: Prices) -> Mapping[str, Any]:
    """The known cost at the end. If the caller gives only tokens, it gets the price of these, and not that of the
    estimate. Raises NoPrice."""
    if not follows(said):
        return said
    before = estimate if isinstance(estimate, Mapping) else {}
    kept = {name: value for name, value in before.items() if name in _KINDS}
    return prices.cost({**kept, **said}, resource)


def _tokens(cost: Mapping[str, Any]) -> TokenCounts:
    """The tokens of a cost. Raises NoPrice for a value that is not a number of tokens, and for an unknown kind."""
    unknown = sorted(str(name) for name in cost if name not in _KNOWN)
    if unknown:
        raise NoPrice("a kind of usage in `cost` has no price")
    counts = [cost.get(kind, 0) for kind in KINDS]
    if any(type(count) is not int or count < 0 for count in counts):
        raise NoPrice("the tokens of a cost must be whole numbers")
    tokens = TokenCounts(*counts)
    if tokens.cached > tokens.input or tokens.reasoning > tokens.output:
        raise NoPrice("`cached` is part of `input`, and `reasoning` part of `output`")
    return tokens


def _of(price: Price, tokens: TokenCounts) -> Decimal:
    cached = price.cached if price.cached is not None else price.input
    reasoning = price.reasoning if price.reasoning is not None else price.output
    parts = (
        (tokens.input - tokens.cached) * price.input,
        tokens.cached * cached,
        (tokens.output - tokens.reasoning) * price.output,
        tokens.reasoning * reasoning,
    )
    return sum(parts, Decimal(0)) / _MILLION
