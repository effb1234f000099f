"""How many elements quantifiers may visit in one decision, as far as the rules that were evaluated tell.

This is for callers that must know before deciding. It is counted from the rules, whose functions are being made anyway,
and from the number of elements that a request can have at most.
"""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.ir.nodes import Quantifier, Rule
from policyengine.ir.walk import quantifies, walk
from policyengine.model.quantifier_cost import MAX_LOOKS

# A decision that looks at more takes long.
MOST_LOOKS = 10_000
# So many elements no request is too small for.
FEW = 64
_MANY = 1 << 30


class QuantifierCounts:
    """The most of all shapes of requests: `single` quantifiers, and those `nested` in another."""

    __slots__ = ("few", "nested", "single")

    def __init__(self) -> None:
        self.single = self.nested = 0
        # With no more elements no decision takes long.
        self.few = _MANY

    def looks(self, elements: int) -> int:
        """The most looks of a decision about a request with so many elements."""
        return self.single * elements + self.nested * min(MAX_LOOKS, (elements // 2 + 1) ** 2)

    def learn(self, single: int, nested: int) -> None:
        """Of one shape of requests there are so many."""
        if single <= self.single and nested <= self.nested:
            return
        self.single, self.nested = max(single, self.single), max(nested, self.nested)
        few = FEW
        while few < _MANY and self.looks(2 * few) <= MOST_LOOKS:
            few *= 2
        self.few = few


def quantifiers(rules: Iterable[Rule]) -> tuple[int, int]:
    """How many of these rules have quantifiers, and how many have some in each other, or what counts like one."""
    single = nested = 0
    for rule in rules:
        outer = [node for node in walk(rule.condition) if isinstance(node, Quantifier)]
        within = any(quantifies(one.body) for one in outer)
        nested += within
        single += bool(outer) and not within
    return single, nested
