"""Which rules can matter for a request of one shape, and for one principal, found without looking at every rule.

A rule may ask for something of the principal that is known: being in a group, or having a text for an attribute.

    a permit     where that is not so, it grants nothing, whatever else it asks for
    another rule where that is false, and asked first, it is silent; where it errs, the rule has to be looked at

So rules that ask are found by what they ask for, and only those whose answer is yes are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.ir.nodes import And, Attribute, Const, Equal, Expr, PolicySet, Root, Rule, Within
from policyengine.model.types import STRING, EntityT
from policyengine.model.values import Fault, Uid
from policyengine.partial.asking import Asking

Names = tuple[str, str, str]


@dataclass(slots=True)
class Candidates:
    """Some rules, by what they ask of the principal."""

    permits: bool
    always: list[Rule] = field(default_factory=list)
    by_group: dict[Uid, list[Rule]] = field(default_factory=dict)
    by_text: dict[str, tuple[Expr, dict[str, list[Rule]]]] = field(default_factory=dict)

    def add(self, rule: Rule) -> None:
        for test in _tests(rule, self.permits):
            match test:
                case Within(target=Const(value=target)):
                    self.by_group.setdefault(target.uid, []).append(rule)
                    return
                case Equal(left=Attribute(name=name) as left, right=Const(value=value)):
                    self.by_text.setdefault(name, (left, {}))[1].setdefault(value, []).append(rule)
                    return
        self.always.append(rule)

    def every(self) -> list[Rule]:
        return [
            *self.always,
            *(rule for rules in self.by_group.values() for rule in rules),
            *(rule for _, by_value in self.by_text.values() for rules in by_value.values() for rule in rules),
        ]

    def of(self, asking: Asking) -> list[Rule]:
        """Those that can matter for a known principal, besides those that always can."""
        found: list[Rule] = []
        if self.by_group:
            found += self._of_groups(asking)
        for expr, by_value in self.by_text.values():
            try:
                found += by_value.get(evaluate(expr, asking.env), ())
            except EvaluationError:
                found += self._if_silent_errs(by_value)
        return found

    def _of_groups(self, asking: Asking) -> Iterable[Rule]:
        principal = asking.request.principal
        try:
            above = asking.world.ancestors(principal)
        except Fault:
            return self._if_silent_errs(self.by_group)
        return [rule for uid in (principal.uid, *above) for rule in self.by_group.get(uid, ())]

    def _if_silent_errs(self, rules: Mapping[Any, list[Rule]]) -> list[Rule]:
        return [] if self.permits else [rule for each in rules.values() for rule in each]


def _tests(rule: Rule, permit: bool) -> Iterable[Expr]:
    """What the rule asks of the principal, in a form that rules are found by."""
    condition = rule.condition
    asked = condition.items if isinstance(condition, And) else (condition,)
    if not permit:
        # A head may err before the condition is asked.
        asked = asked[:1] if rule.head.resource.within is None and rule.head.principal.within is None else ()
    return [test for test in asked if _is_test(test)]


def _is_test(expr: Expr) -> bool:
    match expr:
        case Within(entity=Root(name="principal"), target=Const(type=EntityT())):
            return True
        case Equal(left=Attribute(base=Root(name="principal"), owners=None, type=type_), right=Const(), negated=False):
            return type_ == STRING and expr.right.type == STRING
    return False


@dataclass(frozen=True, slots=True)
class Prepared:
    """The rules about an action on a type of resource by a type of principal."""

    permits: Candidates
    others: Candidates


def prepared(policies: PolicySet, names: Names) -> Prepared:
    """The rules that can matter for requests of this shape: the types of principal and resource, with the action."""
    principal, action, resource = names
    permits, others = Candidates(True), Candidates(False)
    for rule in policies.rules:
        head = rule.head
        if (
            (head.actions is not None and action not in head.actions)
            or (head.resource.types is not None and resource not in head.resource.types)
            or (head.principal.types is not None and principal not in head.principal.types)
        ):
            continue
        if rule.kind == "permit":
            permits.add(rule)
        elif rule.kind != "label" and not (rule.kind == "require" and rule.on_deny and not rule.demands_approval):
            others.add(rule)
    return Prepared(permits, others)
