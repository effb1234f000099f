"""How many elements quantifiers may visit in one decision, as far as the evaluated rules show.

For callers that must know this before they decide. It is counted from the rules, whose functions are made anyway, and
from the largest number of elements that a request can have.
"""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.ir.nodes import Quantifier, Rule
from policyengine.ir.walk import quantifies, walk
from policyengine.model.quantifier_cost import MAX_LOOKS

# A decision that visits more elements takes long.
MOST_LOOKS = 10_000
# A request of any size may have this many elements.
FEW = 64
_MANY = 1 << 30


class QuantifierCounts:
    """The most quantifiers of any shape of request: `single` ones, and those `nested` in another."""

    __slots__ = ("cheap_elements", "nested", "single")

    def __init__(self) -> None:
        self.single = self.nested = 0
        # Up to this many elements, no decision takes long.
        self.cheap_elements = _MANY

    def most_looks(self, elements: int) -> int:
        """The most elements that a decision visits for a request with this many."""
        return self.single * elements + self.nested * min(MAX_LOOKS, (elements // 2 + 1) ** 2)

    def learn(self, single: int, nested: int) -> None:
        """Adds the counts of one shape of request."""
        if single <= self.single and nested <= self.nested:
            return
        self.single, self.nested = max(single, self.single), max(nested, self.nested)
        cheap_elements = FEW
        while cheap_elements < _MANY and self.most_looks(2 * cheap_elements) <= MOST_LOOKS:
            cheap_elements *= 2
        self.cheap_elements = cheap_elements


def quantifiers(rules: Iterable[Rule]) -> tuple[int, int]:
    """How many of these rules have quantifiers, and how many have nested ones, or an operation that counts as one."""
    single = nested = 0
    for rule in rules:
        outer = [node for node in walk(rule.condition) if isinstance(node, Quantifier)]
        within = any(quantifies(one.body) for one in outer)
        nested += within
        single += bool(outer) and not within
    return single, nested
