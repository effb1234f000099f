"""The rules for requests with one gap, lowered: from a caller to what must be true of the unknown entity.

Rules with the same questions about callers are lowered together, once for the same answers. The combined formula of a
caller's rules is made of these groups, and is kept for the same answers. Nothing that is kept contains a caller's
value.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any

from policyengine.ir.nodes import Expr, PolicySet, Rule
from policyengine.ir.walk import children
from policyengine.partial.caller_mentions import looks_above
from policyengine.partial.candidates import KeyBucket, candidates, kinds
from policyengine.partial.formula import FALSE, TRUE, All, Formula, Some
from policyengine.partial.formula_skeleton import Filler, Lowered, filling
from policyengine.partial.gap import Gap
from policyengine.partial.gap_caller import GapCaller
from policyengine.partial.holes import Holes, key_of
from policyengine.partial.logic import MAX_WEIGHT, conj, disj, weight
from policyengine.partial.lowering import AskHole, Lowering
from policyengine.partial.rules import allows

# How many combinations of groups are kept; then they are made again.
MAX_WHOLES = 5_000
Buckets = tuple[KeyBucket, ...]


class LoweredRules:
    """Lowers the rules for one action and one gap, each when a caller first needs it."""

    def __init__(self, policies: PolicySet, action: str, gap: Gap) -> None:
        self._gap, self._holes = gap, Holes()
        permits, others = kinds(policies, gap.principal, action, gap.resource)
        self._permits = candidates(permits, True, gap, self._holes)
        self._others = candidates(others, False, gap, self._holes)
        self._groups: dict[KeyBucket, list[Lowered[_Skeleton]]] = {}
        # By the buckets that can matter for a caller. Two threads find the same for one key.
        self._wholes: dict[tuple[Buckets, Buckets], Lowered[_Whole]] = {}
        self._made = 0

    def formula(self, caller: GapCaller) -> tuple[Formula, bool]:
        """The condition for one of the permits to grant the request and no other rule to prevent it; and whether it may
        test a hierarchy."""
        found = tuple(self._permits.of(caller)), tuple(self._others.of(caller))
        lowered = self._wholes.get(found)
        if lowered is None:
            lowered = self._wholes[found] = Lowered(partial(self._whole, *found))
        whole = lowered.of(caller)
        return whole.formula if whole.fill is None else whole.fill(caller), whole.looks_above

    def _whole(self, permits: Buckets, others: Buckets, ask: AskHole) -> _Whole:
        """The combination of these groups. A caller gets each question once, however many groups have it."""
        self._made += 1
        # As in `Lowered`: to start again costs returning callers little, because the groups stay.
        if self._made > MAX_WHOLES:
            self._wholes, self._made = {}, 0
        return _Whole(_combined(self._skeletons(permits, True, ask), self._skeletons(others, False, ask)))

    def _skeletons(self, buckets: Buckets, permits: bool, ask: AskHole) -> list[_Skeleton]:
        return [group.answered(ask) for bucket in buckets for group in self._of(bucket, permits)]

    def _of(self, bucket: KeyBucket, permits: bool) -> list[Lowered[_Skeleton]]:
        groups = self._groups.get(bucket)
        if groups is None:
            alike: dict[Any, list[Rule]] = {}
            for rule in bucket.rules:
                alike.setdefault(self._asks(rule), []).append(rule)
            groups = self._groups[bucket] = [self._lowered(rules, permits) for rules in alike.values()]
        return groups

    def _lowered(self, rules: Sequence[Rule], permits: bool) -> Lowered[_Skeleton]:
        join = disj if permits else conj

        def lower(ask: AskHole) -> _Skeleton:
            lowering = Lowering(self._gap, self._holes, ask)
            return _Skeleton(join(*(allows(rule, lowering) for rule in rules)))

        return Lowered(lower)

    def _asks(self, rule: Rule) -> Any:
        """The same key for rules with the same questions about callers."""
        asked: set[Any] = set()
        for place, scope in (("resource", rule.head.resource), ("principal", rule.head.principal)):
            if place != self._gap.unknown and (scope.entities is not None or scope.within is not None):
                asked.add((place, scope))
        if rule.kind in ("require", "limit"):
            asked.add(rule.name)
        self._given(rule.condition, asked)
        return frozenset(asked)

    def _given(self, expr: Expr, asked: set[Any]) -> None:
        if self._gap.depends(expr):
            for part in children(expr):
                self._given(part, asked)
        elif not self._gap.is_constant(expr):
            asked.add(key_of(expr))


class _Skeleton:
    """The result of a group of rules for all callers that give the same answers."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.is_large = weight(formula) > MAX_WEIGHT


class _Whole:
    """The combined result of all rules, and how its holes are filled."""

    def __init__(self, formula: Formula) -> None:
        self.formula = formula
        self.fill: Filler | None = filling(formula)
        self.looks_above = looks_above(formula)


def _combined(permits: Collection[_Skeleton], others: Collection[_Skeleton]) -> Formula:
    """The combination, without simplifying large parts again."""
    granted = _joined(Some, permits)
    passed = _joined(All, others)
    if weight(granted) <= MAX_WEIGHT and weight(passed) <= MAX_WEIGHT:
        return conj(passed, granted)
    return FALSE if FALSE in (granted, passed) else _flat(All, [passed, granted])


def _joined(kind: type[All] | type[Some], parts: Iterable[_Skeleton]) -> Formula:
    every = list(parts)
    large = [each.formula for each in every if each.is_large]
    small = [each.formula for each in every if not each.is_large]
    if sum(map(weight, small)) > MAX_WEIGHT:
        large, small = [*large, *small], []
    end = FALSE if kind is All else TRUE
    if end in large or end in small:
        return end
    rest = (conj if kind is All else disj)(*small)
    return end if rest is end else _flat(kind, [*large, rest])


def _flat(kind: type[All] | type[Some], items: Iterable[Formula]) -> Formula:
    none = TRUE if kind is All else FALSE
    kept = [item for item in items if item is not none]
    flat = [part for item in kept for part in (item.items if isinstance(item, kind) else (item,))]
    return none if not flat else flat[0] if len(flat) == 1 else kind(tuple(flat))
