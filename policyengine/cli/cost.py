"""The most that a request can cost, as lines and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from policyengine.ir.cost import Cost

# The assumed number of elements in a collection, unless it is given.
ELEMENTS = 100
SHOWN = 5


def cost_lines(cost: Cost, elements: int) -> Iterator[str]:
    what = f"`{cost.action or 'any other action'}` on `{cost.resource or 'any other type'}`"
    rules = f"{len(cost.rules):,} rule{'s' * (len(cost.rules) != 1)}"
    # Each agent that acts for another is decided about as well.
    each = "and as many for each agent behind it"
    sizes = f"{elements:,} elements in each collection"
    yield f"a request costs at most {cost.steps:,} steps, {each}: {what}, {rules}, {sizes}"
    width = max((len(f"{rule_cost.steps:,}") for rule_cost in cost.rules[:SHOWN]), default=0)
    for rule_cost in cost.rules[:SHOWN]:
        yield f"  {rule_cost.steps:>{width},}  {rule_cost.rule.name}  {rule_cost.rule.span}"
    if len(cost.rules) > SHOWN:
        rest = sum(rule_cost.steps for rule_cost in cost.rules[SHOWN:])
        yield f"  {rest:>{width},}  in {len(cost.rules) - SHOWN:,} more"


def cost_json(cost: Cost, elements: int) -> dict[str, Any]:
    return {
        "steps": cost.steps,
        "elements": elements,
        "action": cost.action,
        "resource": cost.resource,
        "rules": len(cost.rules),
        "costliest": [
            {"rule": rule_cost.rule.name, "steps": rule_cost.steps, "place": str(rule_cost.rule.span)}
            for rule_cost in cost.rules[:SHOWN]
        ],
    }
