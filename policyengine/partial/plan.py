"""A rule made ready once for all callers, so that what is left of it is put together from a caller's values.

A Part is a formula that is the same for every caller, or a function that makes it of a caller's values. What a Part
makes is true of the same things as the formulas of `rules.applies`, the specification of everything here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass

from policyengine.ir.nodes import And, Const, Expr, If, Not, Or, Rule, Scope
from policyengine.ir.walk import children
from policyengine.partial.asking import EVERYTHING, Asking
from policyengine.partial.atoms import comparable, repeatable, size
from policyengine.partial.conditions import condition
from policyengine.partial.facts import NO_VALUE, Fact, Facts, Known, Leaf, Maker
from policyengine.partial.formula import FALSE, TRUE, All, Formula, Holds, Matching, OneOf, Relation, Some
from policyengine.partial.leaves import Wanted, leaf
from policyengine.partial.logic import conj, disj
from policyengine.partial.outcome import MAX_ATOMS, Outcome
from policyengine.partial.rules import applies, place

# A rule that may come to more atoms is left to the specification.
MAX_WEIGHT = MAX_ATOMS
_SIMPLE = (Relation, OneOf, Holds, Matching)


@dataclass(frozen=True, slots=True)
class Part:
    """`fixed` is the formula, if it is the same for all. `names` are the attributes of the unknown entity that it may
    speak of: formulas that share none have nothing to say of each other. `weight` is about its number of atoms. What
    it makes it makes of the results of `tests`, which are true or false, and of what `leaves` make."""

    make: Maker
    fixed: Formula | None = None
    names: frozenset[str] = frozenset()
    weight: int = 1
    tests: frozenset[Fact] = frozenset()
    leaves: frozenset[Leaf] = frozenset()
    # The same for parts that make the same.
    key: Hashable = None
    split: Split | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A part that is `fixed`, and besides what `rest` makes; or, with `unless`, is `fixed`, or is `unless` and besides
    what `rest` makes."""

    fixed: Formula
    rest: tuple[Part, ...]
    unless: Formula | None = None

    @property
    def key(self) -> Hashable:
        """The same for those that differ in nothing but what is fixed; None if that cannot be told."""
        keys = tuple(part.key for part in self.rest)
        return (
            None if None in keys or (self.unless is not None and not comparable(self.unless)) else (keys, self.unless)
        )


Join = Callable[..., Formula]


def merged(parts: Iterable[Part], join: Join) -> list[Part]:
    """Parts that are going to be joined, by `conj` or by `disj`: those that ask the same of the caller are joined
    beforehand."""
    alike: dict[Hashable, list[Part]] = {}
    for part in parts:
        key = part.split.key if part.split is not None else None
        alike.setdefault(id(part) if key is None else key, []).append(part)
    return [_merged(same, join) if len(same) > 1 else same[0] for same in alike.values()]


def _merged(parts: list[Part], join: Join) -> Part:
    splits = [part.split for part in parts if part.split is not None]
    whole, names = join(*(split.fixed for split in splits)), _names(parts)
    unless, rest = splits[0].unless, splits[0].rest
    if unless is None:
        return _every([_fixed(whole, names), *rest])
    return _unless(_fixed(whole, names), _fixed(unless, names), rest[0])


# A test of the caller that a rule makes: the place of the principal in its head, or a part of its condition.
Test = Scope | Expr


class Plan:
    """The parts of a condition, each made when it is first asked for: that it is true, is false, or (None) has a
    value."""

    def __init__(self, make: Callable[[Wanted], Part]) -> None:
        self._make = make
        self._parts: dict[Wanted, Part] = {}

    def part(self, wanted: Wanted) -> Part:
        found = self._parts.get(wanted)
        if found is None:
            found = self._parts[wanted] = self._make(wanted)
        return found


def rule_part(rule: Rule, wanted: Wanted, asking: Asking, known: Known, without: Test | None = None) -> Part:
    """The part of a rule, `without` a test of the caller that is known to be true."""
    plans: list[Plan] = []
    resource, principal = rule.head.resource, rule.head.principal
    if resource.entities is not None or resource.within is not None:
        plans.append(Plan(lambda wanted: _of_resource(resource, wanted, asking, known)))
    if without is not principal and (principal.entities is not None or principal.within is not None):
        plans.append(_test(_of_principal(principal)))
    items = rule.condition.items if isinstance(rule.condition, And) else (rule.condition,)
    plans += [_plan(item, asking, known) for item in items if item is not without]
    part = _chain(plans, False, wanted)
    if part.weight <= MAX_WEIGHT:
        return part
    return free(lambda facts: _of(applies(rule, facts.asking), wanted), known)


def free(maker: Maker, known: Known, names: frozenset[str] = frozenset({EVERYTHING})) -> Part:
    """A part of which nothing is known but how it is made."""
    made = known.leaf(maker, is_free=True)
    return Part(made.make, None, names, leaves=frozenset({made}))


def _of_resource(scope: Scope, wanted: Wanted, asking: Asking, known: Known) -> Part:
    formula = _of(place(scope, asking, "resource"), wanted)
    if repeatable(formula):
        return _fixed(formula, frozenset({EVERYTHING}))
    return free(lambda facts: _of(place(scope, facts.asking, "resource"), wanted), known)


def _of_principal(scope: Scope) -> Fact:
    entities, within = scope.entities, scope.within

    def find(facts: Facts) -> object:
        if entities is not None and facts.uid not in entities:
            return False
        if within is None or facts.uid in within:
            return True
        above = facts.above
        return NO_VALUE if above is NO_VALUE else not within.isdisjoint(above)

    return find


def _plan(expr: Expr, asking: Asking, known: Known) -> Plan:
    if not asking.depends(expr):
        return _test(known.fact(expr, asking.request.principal.uid.type))
    match expr:
        case Not(operand=operand):
            negated = _plan(operand, asking, known)
            return Plan(lambda wanted: negated.part(None if wanted is None else not wanted))
        case And(items=items) if not _same_for_all(expr, asking):
            return _chained(items, False, asking, known)
        case Or(items=items) if not _same_for_all(expr, asking):
            return _chained(items, True, asking, known)
        case If() if not _same_for_all(expr, asking):
            test, then, otherwise = (_plan(e, asking, known) for e in (expr.condition, expr.then, expr.otherwise))
            return Plan(lambda wanted: _choice(test, then.part(wanted), otherwise.part(wanted)))
    return Plan(lambda wanted: _leaf(expr, wanted, asking, known))


def _same_for_all(expr: Expr, asking: Asking) -> bool:
    """Whether nothing in it depends on the caller."""
    return isinstance(expr, Const) or (
        asking.depends(expr) and all(_same_for_all(part, asking) for part in children(expr))
    )


def _leaf(expr: Expr, wanted: Wanted, asking: Asking, known: Known) -> Part:
    names = frozenset(read[1] for read in asking.reads.of(expr) if not isinstance(read, int) and read[0] == "resource")
    if _same_for_all(expr, asking):
        formula = _of(condition(expr, asking), wanted)
        if repeatable(formula):
            return _fixed(formula, names)
    else:
        maker = leaf(expr, wanted, asking, known)
        if maker is not None:
            made = known.leaf(maker)
            return Part(made.make, None, names, leaves=frozenset({made}), key=made)
    return free(lambda facts: _of(condition(expr, facts.asking), wanted), known, names)


def _of(outcome: Outcome, wanted: Wanted) -> Formula:
    return outcome.defined if wanted is None else outcome.true if wanted else outcome.false


def _fixed(formula: Formula, names: frozenset[str] = frozenset()) -> Part:
    return Part(lambda _: formula, formula, names, size(formula))


def _test(fact: Fact) -> Plan:
    """What only the caller's values decide."""

    tests = frozenset({fact})

    def part(wanted: Wanted) -> Part:
        if wanted is None:
            return Part(lambda facts: FALSE if fact(facts) is NO_VALUE else TRUE, tests=tests, key=(fact, wanted))
        return Part(lambda facts: TRUE if fact(facts) is wanted else FALSE, tests=tests, key=(fact, wanted))

    return Plan(part)


# ---- parts put together ----


def _chained(items: Collection[Expr], ends: bool, asking: Asking, known: Known) -> Plan:
    plans = [_plan(item, asking, known) for item in items]
    return Plan(lambda wanted: _chain(plans, ends, wanted))


def _chain(plans: Sequence[Plan], ends: bool, wanted: Wanted) -> Part:
    """`and` (`ends` is False) and `or`: from left to right, up to the first that decides."""
    if not plans:
        return _fixed(FALSE if wanted is ends else TRUE)
    if wanted is (not ends):
        return _every([plan.part(wanted) for plan in plans])
    *others, last = plans
    whole = last.part(wanted)
    for plan in reversed(others):
        whole = _unless(plan.part(ends), plan.part(None), whole)
    return whole


def _every(parts: Sequence[Part]) -> Part:
    fixed = conj(*(part.fixed for part in parts if part.fixed is not None))
    # What needs no more than a look at the caller comes first.
    making = sorted((part for part in parts if part.fixed is None), key=lambda part: bool(part.names))
    if fixed == FALSE or not making:
        return _fixed(fixed, _names(parts))
    apart = _apart([_names([part for part in parts if part.fixed is not None]), *(part.names for part in making)])
    makers = [part.make for part in making]
    start = [] if fixed == TRUE else [*fixed.items] if isinstance(fixed, All) else [fixed]

    def make(facts: Facts) -> Formula:
        made = list(start)
        for maker in makers:
            formula = maker(facts)
            if formula is FALSE:
                return FALSE
            if formula is not TRUE:
                made.append(formula)
        if apart and len(made) > 1:
            return All(tuple(part for each in made for part in (each.items if each.__class__ is All else (each,))))
        return conj(*made, trace=facts.trace)

    return _composed(make, parts, Split(fixed, tuple(making)))


def _unless(ends: Part, defined: Part, rest: Part) -> Part:
    """It ends the chain; or it has a value, and the rest is as wanted."""
    if ends.fixed is not None and defined.fixed is not None and rest.fixed is not None:
        return _fixed(disj(ends.fixed, conj(defined.fixed, rest.fixed)), _names((ends, defined, rest)))
    apart = _apart((ends.names | defined.names, rest.names))

    def make(facts: Facts) -> Formula:
        one = ends.make(facts)
        if one is TRUE:
            return TRUE
        there, other = defined.make(facts), rest.make(facts)
        if there is FALSE or other is FALSE:
            return one
        if there is TRUE or other is TRUE or not apart:
            return disj(one, conj(there, other, trace=facts.trace), trace=facts.trace)
        both = All((*_items(there, All), *_items(other, All)))
        return Some((one, both)) if isinstance(one, _SIMPLE) else disj(one, both, trace=facts.trace)

    split = Split(ends.fixed, (rest,), defined.fixed) if ends.fixed is not None and defined.fixed is not None else None
    return _composed(make, (ends, defined, rest), split)


def _choice(test: Plan, then: Part, otherwise: Part) -> Part:
    """`if`: whichever of the two the test asks for."""
    true, false = test.part(True), test.part(False)
    parts = (true, false, then, otherwise)

    def make(facts: Facts) -> Formula:
        one, other = (
            FALSE if asked is FALSE else conj(asked, part.make(facts), trace=facts.trace)
            for asked, part in ((true.make(facts), then), (false.make(facts), otherwise))
        )
        return disj(one, other, trace=facts.trace)

    return _composed(make, parts)


def _composed(make: Maker, parts: Collection[Part], split: Split | None = None) -> Part:
    return Part(
        make,
        None,
        _names(parts),
        sum(part.weight for part in parts),
        frozenset[Fact]().union(*(part.tests for part in parts)),
        frozenset[Leaf]().union(*(part.leaves for part in parts)),
        None,
        split,
    )


def _items(formula: Formula, kind: type[All]) -> tuple[Formula, ...]:
    return formula.items if isinstance(formula, kind) else (formula,)


def _names(parts: Collection[Part]) -> frozenset[str]:
    return frozenset[str]().union(*(part.names for part in parts))


def _apart(names: Collection[frozenset[str]]) -> bool:
    """Whether no two of them share a name."""
    every = frozenset[str]().union(*names)
    return EVERYTHING not in every and len(every) == sum(map(len, names))
