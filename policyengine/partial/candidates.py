"""Which rules can matter for requests of one shape, and for one principal, found without evaluating every rule.

A rule may test something of the principal that is known: membership in a group, or the value of an attribute. Its head
may name resources, and the id of the requested one may be known.

    a permit     if the test fails, it grants nothing, whatever else it tests
    another rule if the test is false and comes first, it does not hold; if it errs, the rule must be evaluated

So rules with a test are found by the values they test for, and only those whose test may succeed are evaluated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from policyengine.ir.nodes import And, Call, Const, Contains, Equal, Expr, Or, PolicySet, Root, Rule, Within
from policyengine.model.types import BOOL, STRING, ListT, SetT, Type, element_of
from policyengine.model.values import Entity
from policyengine.partial.atoms import is_scalar
from policyengine.partial.gap import Gap
from policyengine.partial.gap_caller import NO_VALUE, GapCaller, ValueOf
from policyengine.partial.holes import Holes, is_name

# What is tested: the id of the resource ("named"); of the principal its "id", its ancestors (by a head: "placed", by a
# condition: "above"), the "value" of an expression, or the "elements" of one.
CallerTest = tuple[str, Expr | None]
# One way to find a rule: by any of these values.
KeyChoice = tuple[CallerTest, frozenset[Hashable]]


@dataclass(slots=True, eq=False)
class KeyBucket:
    """Rules that are evaluated together."""

    number: int = 0
    rules: list[Rule] = field(default_factory=list)


@dataclass(slots=True)
class KeyTable:
    """Rules by the values that they test for."""

    find: ValueOf
    buckets: dict[Hashable, KeyBucket] = field(default_factory=dict)
    every: KeyBucket = field(default_factory=KeyBucket)

    def add(self, rule: Rule, values: Iterable[Hashable]) -> None:
        self.every.rules.append(rule)
        for value in values:
            self.buckets.setdefault(value, KeyBucket(len(self.buckets))).rules.append(rule)

    def of(self, caller: GapCaller) -> list[KeyBucket] | None:
        """The buckets for the values of a caller, in a stable order; None if these values cannot be determined."""
        values, buckets = self.find(caller), self.buckets
        if values is NO_VALUE:
            return None
        if len(values) <= len(buckets):
            buckets_found = [buckets[value] for value in values if value in buckets]
        else:
            buckets_found = [bucket for value, bucket in buckets.items() if value in values]
        if len(buckets_found) > 1:
            buckets_found.sort(key=_number)
        return buckets_found


def _number(bucket: KeyBucket) -> int:
    return bucket.number


@dataclass(slots=True)
class Candidates:
    """Some rules, by what they test of the principal."""

    permits: bool
    always: KeyBucket = field(default_factory=KeyBucket)
    tables: dict[CallerTest, KeyTable] = field(default_factory=dict)

    def of(self, caller: GapCaller) -> Iterator[KeyBucket]:
        """The rules that can matter for a caller."""
        yield self.always
        for table in self.tables.values():
            buckets = table.of(caller)
            if buckets is not None:
                yield from buckets
            elif not self.permits:
                yield table.every


def kinds(policies: PolicySet, principal: str, action: str, resource: str) -> tuple[list[Rule], list[Rule]]:
    """The permits whose head admits these types and this action; and the other rules that can stand in their way."""
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


def candidates(rules: Collection[Rule], permits: bool, gap: Gap, holes: Holes) -> Candidates:
    """The rules, by what they test of the principals of this gap."""
    choices = [(rule, list(_key_choices(rule, permits, gap))) for rule in rules]
    # Chosen so that few rules share a value.
    popular = Counter((dimension, value) for _, each in choices for dimension, values in each for value in values)
    sorted_rules = Candidates(permits)
    for rule, each in choices:
        if not each:
            sorted_rules.always.rules.append(rule)
            continue
        dimension, values = min(each, key=lambda way: sum(popular[way[0], value] for value in way[1]))
        if dimension not in sorted_rules.tables:
            sorted_rules.tables[dimension] = KeyTable(_finding(dimension, permits, gap, holes))
        sorted_rules.tables[dimension].add(rule, values)
    return sorted_rules


# ---- how a rule can be found ----


def _key_choices(rule: Rule, permit: bool, gap: Gap) -> Iterator[KeyChoice]:
    if gap.unknown == "principal":
        return
    named = rule.head.resource
    if named.entities is not None and named.within is None and "id" in gap.known and gap.unknown == "resource":
        yield ("named", None), frozenset(named.entities)
    scope, condition = rule.head.principal, rule.condition
    items = condition.items if isinstance(condition, And) else (condition,)
    if not permit:
        if rule.head.resource.within is not None:
            # Its head may err before it tests the principal.
            return
        items = items[:1] if scope.within is None else ()
    if scope.entities is not None:
        yield ("id", None), frozenset(scope.entities)
    elif scope.within is not None:
        yield ("placed", None), frozenset(scope.within)
    for item in items:
        way = _tested(item, gap)
        if way is not None:
            yield way


def _tested(expr: Expr, gap: Gap) -> KeyChoice | None:
    """The test, and the only values for which it can be true; for all others it is false, or errs for all."""
    match expr:
        case Within(entity=Root(name="principal"), target=Const(value=target)):
            targets = (target,) if target.__class__ is Entity else target
            return ("above", None), frozenset(each.uid for each in targets)
        case Equal(left=left, right=right, negated=False):
            for side, other in ((left, right), (right, left)):
                if isinstance(other, Const) and _is_key(side, other.type, gap):
                    return ("value", side), frozenset({other.value})
        case Contains(item=item, collection=Const(value=values, type=type_)):
            if _is_key(item, element_of(type_), gap):
                return ("value", item), frozenset(values)
        case Contains(item=Const(value=value, type=type_), collection=collection):
            if type_ == STRING and _is_texts(collection, gap):
                return ("elements", collection), frozenset({value})
        case Call(function="contains_any", args=(left, right)):
            for side, other in ((left, right), (right, left)):
                if isinstance(other, Const) and _is_texts(side, gap) and element_of(other.type) == STRING:
                    return ("elements", side), frozenset(other.value)
        case Or(items=items):
            choices = [_tested(item, gap) for item in items]
            dimensions = {each[0] for each in choices if each is not None}
            if None not in choices and len(dimensions) == 1:
                return dimensions.pop(), frozenset[Hashable]().union(*(each[1] for each in choices if each is not None))
    return None


def _is_key(expr: Expr, other: Type | None, gap: Gap) -> bool:
    """Whether the value is known, and Python's comparison with a constant of the other type is the language's."""
    if not is_name(expr) or gap.depends(expr) or other is None:
        return False
    return expr.type != BOOL and is_scalar(expr.type) and is_scalar(other) and other != BOOL


def _is_texts(expr: Expr, gap: Gap) -> bool:
    texts = isinstance(expr.type, SetT | ListT) and expr.type.element == STRING
    return texts and is_name(expr) and not gap.depends(expr)


def _finding(dimension: CallerTest, permits: bool, gap: Gap, holes: Holes) -> ValueOf:
    """A function that returns the values by which rules are found, or NO_VALUE."""
    kind, expr = dimension
    if kind == "named":
        return lambda caller: (caller.request.resource.uid,)
    if kind == "id":
        return lambda caller: (caller.request.principal.uid,)
    if expr is None:
        # A head that names the principal itself does not read its ancestors.
        return lambda caller: _at_or_above(caller, or_alone=permits and kind == "placed")
    value = holes.given(expr, gap)
    if kind == "value":
        return lambda caller: NO_VALUE if (given := value(caller)) is NO_VALUE else (_text(given),)
    return lambda caller: NO_VALUE if (given := value(caller)) is NO_VALUE else frozenset(map(_text, given))


def _text(value: Any) -> Any:
    """A text of a subclass may be equal to texts that its plain text does not equal."""
    return str.__str__(value) if isinstance(value, str) else value


def _at_or_above(caller: GapCaller, or_alone: bool) -> Any:
    above, uid = caller.ancestors, caller.request.principal.uid
    if above is NO_VALUE:
        return (uid,) if or_alone else NO_VALUE
    return above if uid in above else {*above, uid}
