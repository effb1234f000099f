"""Decisions that follow from other decisions, remembered.

In: decisions that are kept alive, each for one outcome of the rules. Out: the decision about all actors, and the
decision with approvals. Both are found by the identity of the decisions that they follow from. Those are kept alive
with them, so that no identity can be used again for another decision.
"""

from __future__ import annotations

from collections.abc import Collection

from policyengine.bounded_cache import BoundedCache
from policyengine.evaluate.combine import intersect
from policyengine.model.decision import Decision

# How many decisions of each kind are remembered.
MEMORY = 4096

Decisions = tuple[Decision, ...]


class Derived:
    """Changes only in what it remembers."""

    __slots__ = ("approved", "given", "joined")

    def __init__(self) -> None:
        # By the identities of the decisions. `native/intake.c` looks here before it calls `join`, so it is a dict; when
        # it is full, all are forgotten.
        self.joined: dict[tuple[int, ...], tuple[Decisions, Decision]] = {}
        self.approved: BoundedCache[tuple[int, tuple[str, ...]], tuple[Decision, Decision]] = BoundedCache(MEMORY)
        # The same by all approvals that were given, even those that the decision does not wait for: one lookup.
        self.given: BoundedCache[tuple[int, frozenset[str]], tuple[Decision, Decision]] = BoundedCache(MEMORY)

    def join(self, decisions: Decisions) -> Decision:
        """The decision for all actors, from the decision for each."""
        key = tuple(map(id, decisions))
        known = self.joined.get(key)
        if known is None:
            if len(self.joined) >= MEMORY:
                self.joined.clear()
            known = self.joined[key] = (decisions, intersect(decisions))
        return known[1]

    def approve(self, decision: Decision, approved: frozenset[str]) -> Decision:
        """The decision with these approvals. Raises KeyError unless it is remembered."""
        if not decision.approvals:
            return decision
        key = (id(decision), approved)
        known: tuple[Decision, Decision] | None = self.given.get(key)
        if known is None:
            given = effective(decision, approved)
            known = self.approved[id(decision), given] if given else (decision, decision)
            self.given[key] = known
        return known[1]

    def remember(self, decision: Decision, given: tuple[str, ...], then: Decision) -> None:
        self.approved[id(decision), given] = (decision, then)


def effective(decision: Decision, approved: Collection[str]) -> tuple[str, ...]:
    """Those of the approvals that the decision waits for. Without any, the decision stays as it is: either nothing is
    missing, or approvals would not help."""
    return tuple([approval.rule for approval in decision.approvals if approval.rule in approved])
