"""The rules about requests of one shape, made ready: from a caller's values to what must be true of the unknown entity.

Rules are made ready when they are first looked at, and once. How their formulas are put together is found out once for
all callers of a pattern.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.ir.nodes import PolicySet, Rule
from policyengine.partial.asking import Asking
from policyengine.partial.candidates import Bucket, Names, prepared
from policyengine.partial.conditions import defined
from policyengine.partial.facts import Fact, Facts, Known, Leaf, Maker, with_leaves
from policyengine.partial.formula import FALSE, TRUE, All, Formula, Some, Truth
from policyengine.partial.logic import MAX_WEIGHT, Trace, beside, conj, disj, weight
from policyengine.partial.pattern import Pattern, another, pattern, sort
from policyengine.partial.plan import Part, Test, free, merged, rule_part

# So many selections of rules are remembered, if they come from so few buckets, and so many patterns of each.
MAX_SELECTIONS, MAX_BUCKETS, MAX_PATTERNS = 500, 8, 200


@dataclass(frozen=True, slots=True)
class _Ready:
    """What some rules come to: a formula for all callers, and one for each."""

    fixed: Formula
    makers: tuple[Maker, ...]
    is_large: bool
    weight: int
    tests: frozenset[Fact]
    leaves: frozenset[Leaf]


class Shape:
    """`asking` is any request of the shape."""

    def __init__(self, policies: PolicySet, names: Names, asking: Asking) -> None:
        self._known = Known()
        found = prepared(policies, names, asking, self._known)
        self._permits, self._others = found.permits, found.others
        self._ready: dict[Bucket, _Ready] = {}
        self._selections: dict[Any, _Selection | None] = {}

    def formula(self, facts: Facts) -> Formula:
        """When one of the permits grants the request, and no other rule stands in its way."""
        permits, others = (*self._permits.of(facts),), (*self._others.of(facts),)
        if len(permits) + len(others) > MAX_BUCKETS:
            return _composed(*self._looked(permits, others, facts), facts)
        key = (permits, others)
        selection = self._selections.get(key, _UNSEEN)
        if selection.__class__ is _Selection:
            return selection.formula(facts)
        ready = self._looked(permits, others, facts)
        # What comes up once may never come up again.
        again = selection is not _UNSEEN or not (permits or others)
        _remember(self._selections, key, _Selection(*ready) if again else None, MAX_SELECTIONS)
        return _composed(*ready, facts)

    def _looked(
        self, permits: Iterable[Bucket], others: Iterable[Bucket], facts: Facts
    ) -> tuple[list[_Ready], list[_Ready]]:
        return (
            [self._of(bucket, facts, True) for bucket in (self._permits.always, *permits)],
            [self._of(bucket, facts, False) for bucket in (self._others.always, *others)],
        )

    def _of(self, bucket: Bucket, facts: Facts, permits: bool) -> _Ready:
        ready = self._ready.get(bucket)
        if ready is None:
            ready = self._ready[bucket] = self._made(bucket, facts.asking, permits)
        return ready

    def _made(self, bucket: Bucket, asking: Asking, permits: bool) -> _Ready:
        join = disj if permits else conj
        parts = merged((_part(rule, asking, self._known, without) for rule, without in bucket.rules), join)
        fixed = [part.fixed for part in parts if part.fixed is not None]
        making = [part for part in parts if part.fixed is None]
        whole = join(*fixed)
        return _Ready(
            whole,
            tuple(part.make for part in making),
            weight(whole) > MAX_WEIGHT,
            len(making) + (weight(whole) if weight(whole) <= MAX_WEIGHT else 0),
            frozenset[Fact]().union(*(part.tests for part in making)),
            frozenset[Leaf]().union(*(part.leaves for part in making)),
        )


class _Selection:
    """The rules that matter for some callers."""

    def __init__(self, permits: Sequence[_Ready], others: Sequence[_Ready]) -> None:
        self._permits, self._others = permits, others
        every = (*permits, *others)
        self._is_small = _is_small(permits, others)
        self._tests = tuple(frozenset[Fact]().union(*(ready.tests for ready in every)))
        leaves = frozenset[Leaf]().union(*(ready.leaves for ready in every))
        self._free = tuple(leaf.make for leaf in leaves if leaf.is_free)
        self._leaves = tuple(leaf for leaf in leaves if not leaf.is_free)
        # Or the number of times that there was none.
        self._patterns: dict[Any, Pattern | int] = {}

    def formula(self, facts: Facts) -> Formula:
        free = [leaf(facts) for leaf in self._free]
        if not self._is_small or not all(each.__class__ is Truth for each in free):
            return _composed(self._permits, self._others, facts)
        leaves = [leaf.make(facts) for leaf in self._leaves]
        key = (*[test(facts) for test in self._tests], *map(sort, leaves), *free)
        found = self._patterns.get(key, 1)
        if not isinstance(found, int):
            return found(leaves)
        # For some callers there is none, so it is tried again, ever more seldom.
        if found & (found - 1):
            self._patterns[key] = found + 1
            return _composed(self._permits, self._others, facts)
        facts.trace = Trace()
        whole = _composed(self._permits, self._others, facts)
        made = pattern(whole, leaves, facts.trace)
        if made is not None and not self._is_true_of_others(made, leaves, facts):
            made = None
        _remember(self._patterns, key, found + 1 if made is None else made, MAX_PATTERNS)
        return whole

    def _is_true_of_others(self, made: Pattern, leaves: Sequence[Formula], facts: Facts) -> bool:
        """Tries the pattern on a caller whose values are all different from each other and from every constant."""
        others = [another(formula, number) for number, formula in enumerate(leaves)]
        found = {
            leaf.number: formula for leaf, formula in zip(self._leaves, others, strict=True) if formula is not None
        }
        if len(found) < len(leaves):
            return False
        whole = _composed(self._permits, self._others, with_leaves(facts, found))
        return made(list(found.values())) == whole


_UNSEEN: Any = object()


def _remember(known: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    if len(known) >= most:
        known.clear()
    known[key] = value


def _is_small(permits: Iterable[_Ready], others: Iterable[_Ready]) -> bool:
    return sum(ready.weight for ready in (*permits, *others)) <= MAX_WEIGHT


def _composed(permits: Sequence[_Ready], others: Sequence[_Ready], facts: Facts) -> Formula:
    is_small, trace = _is_small(permits, others), facts.trace
    grants = _said(permits, facts)
    large = [each.fixed for each in permits if each.is_large]
    granted = _with(Some, large, disj(*grants, trace=trace))
    if granted is FALSE:
        return FALSE
    passes = _said(others, facts)
    if is_small and not large:
        passes.append(granted)
        granted = TRUE
    passed = _with(All, [each.fixed for each in others if each.is_large], conj(*passes, trace=trace))
    return beside(All, passed, granted) if not is_small else _with(All, [granted], passed)


def _with(kind: type[All] | type[Some], large: Sequence[Formula], formula: Formula) -> Formula:
    """All of them, or any; without looking into them."""
    none, every = (TRUE, FALSE) if kind is All else (FALSE, TRUE)
    if formula is every or every in large:
        return every
    items = [each for each in (*large, formula) if each is not none]
    return kind(tuple(items)) if len(items) > 1 else items[0] if items else none


def _said(ready: Sequence[_Ready], facts: Facts) -> list[Formula]:
    """What rules say of this caller, but for what is large and they say of all."""
    return [
        *(each.fixed for each in ready if not each.is_large),
        *(maker(facts) for each in ready for maker in each.makers),
    ]


def _part(rule: Rule, asking: Asking, known: Known, without: Test | None) -> Part:
    """When a permit grants, and when another rule leaves the request allowed."""
    match rule.kind:
        case "permit":
            return rule_part(rule, True, asking, known, without)
        case "limit":
            metered, silent = (rule_part(rule, wanted, asking, known, without) for wanted in (None, False))
            return free(_metered(rule, metered.make, silent.make), known)
    silent = rule_part(rule, False, asking, known, without)
    return silent if rule.kind == "forbid" else free(_fulfilled(rule, silent.make), known)


def _metered(rule: Rule, metered: Maker, silent: Maker) -> Maker:
    """When a limit does not apply, or applies and is metered by the caller."""
    return lambda facts: metered(facts) if rule.name in facts.approved else silent(facts)


def _fulfilled(rule: Rule, silent: Maker) -> Maker:
    """When a rule that demands something is silent, or what it demands is done and can be told."""

    def make(facts: Facts) -> Formula:
        if rule.demands_approval:
            # Its other obligations are part of the approval.
            return TRUE if rule.name in facts.approved else silent(facts)
        if any(spec.type not in facts.fulfilled for spec in rule.obligations):
            return silent(facts)
        told = conj(*(defined(expr, facts.asking) for spec in rule.obligations for _, expr in spec.properties))
        return TRUE if told is TRUE else disj(silent(facts), told)

    return make
