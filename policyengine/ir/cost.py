"""The highest cost of rules, counted and never measured: how many parts of conditions one request can have evaluated.

In: typed rules, and the assumed number of elements in each collection of a request and of ancestors of each entity.
Out: steps. A step is one part of a condition, evaluated once, one element that an operator visits, one ancestor of an
entity, or one source of an argument. The body of a quantifier counts for each element, in nested quantifiers up to
their bound. An index most often excludes most rules, but this does not rely on it.
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
    """The costliest requests: those for one action on resources of one type; None stands for all others. `rules` are
    those that apply to them, costliest first. Every agent of a chain costs as much again."""

    action: str | None
    resource: str | None
    steps: int
    rules: tuple[RuleCost, ...]


def steps(expr: Expr, elements: int) -> int:
    """The most parts of a condition that are evaluated if each collection has this many elements."""
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
            # The ancestors of an entity, or the sources of the parts of an argument.
            total += looks * elements if isinstance(node, Within | Sources) else 0
            # A collection that is the same for all elements of a quantifier is read once.
            often = counted(node) if nested else ()
            total += sum(_size(part, elements) for part in gone_through(node)) if not often else 0
            total += sum(min(looks * _size(part, elements), MAX_LOOKS) for part in often)
    return total


def cost(rules: Sequence[Rule], elements: int) -> Cost:
    """The cost of the costliest request."""
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
    """The cost of the condition, and of testing whether the head applies."""
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
