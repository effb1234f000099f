"""Which rules can matter for a request of one shape, and for one principal, found without looking at every rule.

A rule may test something of the principal that is known: being in a group, or having a value for an attribute.

    a permit     where that is not so, it grants nothing, whatever else it asks for
    another rule where that is false, and asked first, it is silent; where it errs, the rule has to be looked at

So rules that test are found by the values they test for, and only those whose answer is yes are looked at; without
the test, as that is known then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from policyengine.ir.nodes import And, Call, Const, Contains, Equal, Expr, Or, PolicySet, Root, Rule, Within
from policyengine.model.types import BOOL, STRING, ListT, SetT, Type, element_of
from policyengine.model.values import Entity
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import plain
from policyengine.partial.facts import NO_VALUE, Fact, Facts, Known, is_name
from policyengine.partial.plan import Test

Names = tuple[str, str, str]

# What of the principal is tested: its "id", what it is in (by a head: "placed", by a condition: "above"), the "value"
# of an expression, or the "elements" of one.
Dimension = tuple[str, Expr | None]
# One way to find a rule: by any of these values, and what of the rule need not be asked then.
Way = tuple[Dimension, frozenset[Hashable], Test]


@dataclass(slots=True, eq=False)
class Bucket:
    """Rules that are looked at together, each without a test that is known to be true."""

    number: int = 0
    rules: list[tuple[Rule, Test | None]] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """Rules by the values that they test for. `every` has all of them, with their tests."""

    find: Callable[[Facts], Any]
    buckets: dict[Hashable, Bucket] = field(default_factory=dict)
    every: Bucket = field(default_factory=Bucket)

    def add(self, rule: Rule, values: Iterable[Hashable], test: Test) -> None:
        self.every.rules.append((rule, None))
        for value in values:
            self.buckets.setdefault(value, Bucket(len(self.buckets))).rules.append((rule, test))

    def of(self, facts: Facts) -> list[Bucket] | None:
        """Those for the values of a caller, in a fixed order; None if these cannot be told."""
        values, buckets = self.find(facts), self.buckets
        if values is NO_VALUE:
            return None
        if len(values) <= len(buckets):
            found = [buckets[value] for value in values if value in buckets]
        else:
            found = [bucket for value, bucket in buckets.items() if value in values]
        if len(found) > 1:
            found.sort(key=_number)
        return found


def _number(bucket: Bucket) -> int:
    return bucket.number


@dataclass(slots=True)
class Candidates:
    """Some rules, by what they test of the principal."""

    permits: bool
    always: Bucket = field(default_factory=Bucket)
    tables: dict[Dimension, Table] = field(default_factory=dict)

    def of(self, facts: Facts) -> Iterator[Bucket]:
        """Those that can matter for a principal, besides those that always can."""
        for table in self.tables.values():
            found = table.of(facts)
            if found is not None:
                yield from found
            elif not self.permits:
                yield table.every


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rules about an action on a type of resource by a type of principal."""

    permits: Candidates
    others: Candidates


def prepared(policies: PolicySet, names: Names, asking: Asking, known: Known) -> Prepared:
    """The rules that can matter for requests of this shape: the types of principal and resource, with the action; and
    with a gap as in `asking`."""
    permits, others = kinds(policies, names)
    return Prepared(_candidates(permits, True, asking, known), _candidates(others, False, asking, known))


def kinds(policies: PolicySet, names: Names) -> tuple[list[Rule], list[Rule]]:
    """The permits whose head names, or does not ask for, these types and this action; and the other rules that can
    stand in their way."""
    principal, action, resource = names
    permits: list[Rule] = []
    others: list[Rule] = []
    for rule in policies.rules:
        head = rule.head
        if (
            (head.actions is not None and action not in head.actions)
            or (head.resource.types is not None and resource not in head.resource.types)
            or (head.principal.types is not None and principal not in head.principal.types)
        ):
            continue
        if rule.kind == "permit":
            permits.append(rule)
        elif rule.kind != "label" and not (rule.kind == "require" and rule.on_deny and not rule.demands_approval):
            others.append(rule)
    return permits, others


def _candidates(rules: Collection[Rule], permits: bool, asking: Asking, known: Known) -> Candidates:
    ways = [(rule, list(_ways(rule, permits, asking))) for rule in rules]
    # By what the fewest rules test for.
    popular = Counter((dimension, value) for _, each in ways for dimension, values, _ in each for value in values)
    found = Candidates(permits)
    type_ = asking.request.principal.uid.type
    for rule, each in ways:
        if not each:
            found.always.rules.append((rule, None))
            continue
        dimension, values, test = min(each, key=lambda way: sum(popular[way[0], value] for value in way[1]))
        if dimension not in found.tables:
            found.tables[dimension] = Table(_finding(dimension, permits, type_, known))
        found.tables[dimension].add(rule, values, test)
    return found


# ---- how a rule can be found ----


def _ways(rule: Rule, permit: bool, asking: Asking) -> Iterator[Way]:
    scope, condition = rule.head.principal, rule.condition
    items = condition.items if isinstance(condition, And) else (condition,)
    if not permit:
        if rule.head.resource.within is not None:
            # Its head may err before anything is asked of the principal.
            return
        items = items[:1] if scope.within is None else ()
    if scope.entities is not None:
        yield ("id", None), frozenset(scope.entities), scope
    elif scope.within is not None:
        yield ("placed", None), frozenset(scope.within), scope
    for item in items:
        found = _tested(item, asking)
        if found is not None:
            yield (*found, item)


def _tested(expr: Expr, asking: Asking) -> tuple[Dimension, frozenset[Hashable]] | None:
    """What is tested, and the only values for which it can be true; for all others it is false, or errs for all."""
    match expr:
        case Within(entity=Root(name="principal"), target=Const(value=target)):
            targets = (target,) if target.__class__ is Entity else target
            return ("above", None), frozenset(each.uid for each in targets)
        case Equal(left=left, right=right, negated=False):
            for side, other in ((left, right), (right, left)):
                if isinstance(other, Const) and _is_key(side, other.type, asking):
                    return ("value", side), frozenset({other.value})
        case Contains(item=item, collection=Const(value=values, type=type_)):
            if _is_key(item, element_of(type_), asking):
                return ("value", item), frozenset(values)
        case Contains(item=Const(value=value, type=type_), collection=collection):
            if type_ == STRING and _is_texts(collection, asking):
                return ("elements", collection), frozenset({value})
        case Call(function="contains_any", args=(left, right)):
            for side, other in ((left, right), (right, left)):
                if isinstance(other, Const) and _is_texts(side, asking) and element_of(other.type) == STRING:
                    return ("elements", side), frozenset(other.value)
        case Or(items=items):
            found = [_tested(item, asking) for item in items]
            dimensions = {each[0] for each in found if each is not None}
            if None not in found and len(dimensions) == 1:
                return dimensions.pop(), frozenset[Hashable]().union(*(each[1] for each in found if each is not None))
    return None


def _is_key(expr: Expr, other: Type | None, asking: Asking) -> bool:
    """Whether it is known, and is equal to a constant of the other type where Python says so."""
    if not is_name(expr) or asking.depends(expr) or other is None:
        return False
    return expr.type != BOOL and plain(expr.type) and plain(other) and other != BOOL


def _is_texts(expr: Expr, asking: Asking) -> bool:
    texts = isinstance(expr.type, SetT | ListT) and expr.type.element == STRING
    return texts and is_name(expr) and not asking.depends(expr)


def _finding(dimension: Dimension, permits: bool, type_: str, known: Known) -> Callable[[Facts], Any]:
    """The values by which rules are found, or NO_VALUE."""
    kind, expr = dimension
    if kind == "placed" and permits:
        # A head that names the principal itself does not ask what is above it.
        return lambda facts: (facts.uid,) if facts.above is NO_VALUE else _at_or_above(facts)
    if expr is None:
        return lambda facts: (facts.uid,) if kind == "id" else _at_or_above(facts)
    if kind == "value":
        return _one(known.fact(expr, type_))
    return _several(known.texts(expr, type_), known.fact(expr, type_))


def _one(fact: Fact) -> Fact:
    def find(facts: Facts) -> Any:
        value = fact(facts)
        return NO_VALUE if value is NO_VALUE else (_text(value),)

    return find


def _several(texts: Fact, fact: Fact) -> Fact:
    def find(facts: Facts) -> Any:
        found = texts(facts)
        if found is NO_VALUE:
            values = fact(facts)
            return NO_VALUE if values is NO_VALUE else frozenset(map(_text, values))
        return found

    return find


def _text(value: Any) -> Any:
    """A text of a subclass may be equal to others than the text is."""
    return str.__str__(value) if isinstance(value, str) else value


def _at_or_above(facts: Facts) -> Any:
    above = facts.above
    return NO_VALUE if above is NO_VALUE else above if facts.uid in above else {*above, facts.uid}
