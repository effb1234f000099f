"""What rules cost at most, counted and never measured: how many parts of conditions one request can have evaluated.

In: typed rules, and how many elements a collection of a request is taken to have, and how many entities there are above
one. Out: steps. A step is one part of a condition, evaluated once, one element that an operator goes through, one
entity above another, or one source of an argument; what stands within a quantifier counts for each element, in
quantifiers in each other up to their bound. An index most often leaves most rules aside, which is not
counted on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from policyengine.ir.nodes import Collection, Const, Expr, Quantifier, Rule, Sources, Within
from policyengine.ir.walk import children, counted, gone_through
from policyengine.model.quantifier_cost import MAX_LOOKS


@dataclass(frozen=True, slots=True)
class RuleCost:
    rule: Rule
    steps: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The costliest requests: those of one action on resources of one type; None stands for any other. `rules` are
    those that speak of them, costliest first. Every agent of a chain costs as much again."""

    action: str | None
    resource: str | None
    steps: int
    rules: tuple[RuleCost, ...]


def steps(expr: Expr, elements: int) -> int:
    """How many parts of a condition are evaluated at most, where each collection has so many elements."""
    total, todo = 0, [(expr, 1, False)]
    while todo:
        node, looks, nested = todo.pop()
        total += looks
        if isinstance(node, Quantifier):
            count = looks * _size(node.collection, elements)
            todo.append((node.collection, looks, nested))
            todo.append((node.body, min(count, MAX_LOOKS) if nested else count, True))
        else:
            todo.extend((child, looks, nested) for child in children(node))
            # What is above an entity, and what is said of the parts of an argument.
            total += looks * elements if isinstance(node, Within | Sources) else 0
            # What is the same for all elements of a quantifier is gone through once.
            often = counted(node) if nested else ()
            total += sum(_size(part, elements) for part in gone_through(node)) if not often else 0
            total += sum(min(looks * _size(part, elements), MAX_LOOKS) for part in often)
    return total


def cost(rules: Sequence[Rule], elements: int) -> Cost:
    """What the costliest request costs."""
    each = [RuleCost(rule, _of(rule, elements)) for rule in rules]
    sums: Counter[tuple[frozenset[str] | None, frozenset[str] | None]] = Counter()
    for one in each:
        sums[one.rule.head.actions, one.rule.head.resource.types] += one.steps
    actions = _named(head for head, _ in sums)
    types = _named(head for _, head in sums)
    totals = {
        (action, type_): sum(n for (a, t), n in sums.items() if _speaks(a, action) and _speaks(t, type_))
        for action in actions
        for type_ in types
    }
    action, type_ = max(totals, key=lambda key: totals[key])
    concerned = [
        one for one in each if _speaks(one.rule.head.actions, action) and _speaks(one.rule.head.resource.types, type_)
    ]
    ordered = sorted(concerned, key=lambda one: (-one.steps, one.rule.name))
    return Cost(action, type_, totals[action, type_], tuple(ordered))


def _of(rule: Rule, elements: int) -> int:
    """The condition, and what it takes to see whether the head fits."""
    scopes = (rule.head.principal, rule.head.resource)
    head = 1 + elements * sum(scope.within is not None for scope in scopes)
    owed = [expr for spec in rule.obligations for _, expr in spec.properties]
    return head + sum(steps(expr, elements) for expr in (rule.condition, *owed))


def _size(collection: Expr, elements: int) -> int:
    match collection:
        case Const(value=tuple() as value):
            return len(value)
        case Collection(items=items):
            return len(items)
    return elements


def _named(heads: Iterable[frozenset[str] | None]) -> list[str | None]:
    return [*sorted({name for head in heads if head is not None for name in head}), None]


def _speaks(head: frozenset[str] | None, name: str | None) -> bool:
    return head is None or name in head
