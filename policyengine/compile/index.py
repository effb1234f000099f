"""Finds the rules that a request can concern, without evaluating each of them.

In: the rules of a policy set. Out: for a principal type, an action and a resource type, a Plan: the rules to evaluate
in any case, and tables that give further rules for the value of a key. A rule is in a table only if it can neither hold
nor err for any other value of the key; so leaving it out changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.model.types import INT, NUMBER, STRING
from policyengine.model.values import Entity, Uid
from policyengine.schema.schema import Schema

# With fewer rules than this for a key, evaluating them is faster than a lookup.
WORTH_A_TABLE = 4

# The id, or everything at or above, of the principal or resource; or an attribute. The id of the action, which is the
# same for all rules, is the dimension for rules without a key.
Dimension = tuple[Literal["id", "above"], Literal["principal", "resource", "action"]] | ir.Attribute


@dataclass(frozen=True, slots=True)
class Table:
    """For each value of a key, the rules that can hold only for that value."""

    dimension: Dimension
    rules: Mapping[Hashable, tuple[Rule, ...]]
    # All rules, which err if the key has no value.
    all: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class RulePlan:
    """`always` are the rules without a key."""

    always: tuple[Rule, ...]
    tables: tuple[Table, ...]


class Index:
    """The rules of a policy set by what they concern."""

    def __init__(self, rules: Iterable[Rule], schema: Schema) -> None:
        self._schema = schema
        self._by_action: dict[str | None, dict[str | None, list[Rule]]] = {}
        for rule in rules:
            for action in rule.head.actions if rule.head.actions is not None else (None,):
                by_type = self._by_action.setdefault(action, {})
                for type_ in rule.head.resource.types if rule.head.resource.types is not None else (None,):
                    by_type.setdefault(type_, []).append(rule)

    def candidates(self, principal: str, action: str, resource: str) -> tuple[Rule, ...]:
        """The rules whose head admits the action and both types, in name order."""
        rules: dict[str, Rule] = {}
        for by_type in (self._by_action.get(action, {}), self._by_action.get(None, {})):
            for type_ in (resource, None):
                for rule in by_type.get(type_, ()):
                    types = rule.head.principal.types
                    if types is None or principal in types:
                        rules[rule.name] = rule
        return tuple(rules[name] for name in sorted(rules))

    def about(self, action: str, resource: str) -> tuple[Rule, ...]:
        """The rules whose head admits the action and the type of the resource."""
        tables = [self._by_action.get(action, {}), self._by_action.get(None, {})]
        return tuple(rule for by_type in tables for type_ in (resource, None) for rule in by_type.get(type_, ()))

    def plan(self, principal: str, action: str, resource: str) -> RulePlan:
        """The candidates, spread over tables where that is worth it."""
        candidates = self.candidates(principal, action, resource)
        keys = [(rule, key_of(rule, principal, resource)) for rule in candidates]
        popular = Counter(key[0] for _, key in keys if key is not None)
        always = []
        tables: dict[Dimension, dict[Hashable, list[Rule]]] = {}
        members: dict[Dimension, list[Rule]] = {}
        for rule, key in keys:
            if key is None or popular[key[0]] < WORTH_A_TABLE:
                always.append(rule)
                continue
            members.setdefault(key[0], []).append(rule)
            for value in key[1]:
                tables.setdefault(key[0], {}).setdefault(value, []).append(rule)
        return RulePlan(
            tuple(always),
            tuple(
                Table(d, {v: tuple(rules) for v, rules in tables.get(d, {}).items()}, tuple(members[d]))
                for d in members
            ),
        )


def key_of(rule: Rule, principal: str, resource: str) -> tuple[Dimension, frozenset[Hashable]] | None:
    """The rule's key and the values for which it must be asked: from the first test that evaluation makes."""
    head = rule.head
    if head.resource.entities is not None:
        return ("id", "resource"), _ids(head.resource.entities, resource)
    if head.resource.within is not None:
        return ("above", "resource"), frozenset(head.resource.within)
    if head.principal.entities is not None:
        return ("id", "principal"), _ids(head.principal.entities, principal)
    if head.principal.within is not None:
        return ("above", "principal"), frozenset(head.principal.within)
    first = rule.condition.items[0] if isinstance(rule.condition, ir.And) else rule.condition
    key = _condition_key(first)
    if key is not None and isinstance(key[0], ir.Attribute) and isinstance(key[0].base, ir.Root):
        own = principal if key[0].base.name == "principal" else resource
        if key[0].owners is not None and own not in key[0].owners:
            return None
    return key


def _ids(uids: Iterable[Uid], type_: str) -> frozenset[Hashable]:
    return frozenset(uid.id for uid in uids if uid.type == type_)


def _condition_key(expr: ir.Expr) -> tuple[Dimension, frozenset[Hashable]] | None:
    match expr:
        case ir.Equal(left=left, right=right, negated=False):
            for side, other in ((left, right), (right, left)):
                if isinstance(other, ir.Const) and _is_key(side):
                    return side, frozenset({other.value})  # type: ignore[return-value]
        case ir.Contains(item=item, collection=ir.Const(value=value)) if _is_key(item) and value:
            return item, frozenset(value)  # type: ignore[return-value]
        case ir.Within(entity=ir.Root(name="principal" | "resource" as root), target=ir.Const(value=value)):
            entities: Sequence[Entity] = value if isinstance(value, tuple) else (value,)
            return ("above", root), frozenset(e.uid for e in entities)
    return None


def _is_key(expr: ir.Expr) -> bool:
    """Whether the expression is an attribute that is read as it comes and has a plain value."""
    return (
        isinstance(expr, ir.Attribute)
        and expr.type in (STRING, INT, NUMBER)
        and isinstance(expr.base, ir.Root)
        and expr.base.name in ("principal", "resource")
    )
