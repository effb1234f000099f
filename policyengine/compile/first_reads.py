"""The attribute that a rule reads before anything else: where it has no value, the rule errs, and for that reason.

A missing attribute is often read by very many rules. So it is found out once for all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.ir import nodes as ir
from policyengine.ir.nodes import Rule
from policyengine.model.decision import Decision

Key = tuple[Hashable, ...]


# Outcomes with errors that are remembered: each decision names up to a hundred of them.
MOST_KNOWN = 256
# What is wrong with some attributes, each.
Faults = tuple[tuple[str, str] | None, ...]


class FirstReads:
    """Remembers which attribute each rule reads first, and what becomes of requests where rules err for that alone."""

    __slots__ = ("_decisions", "_known", "_reads")

    def __init__(self) -> None:
        self._known: dict[str, tuple[Key, ir.Attribute] | None] = {}
        # By outcome: what the rules that err read first; and by that and what is wrong with it, the decision.
        self._reads: dict[Hashable, tuple[ir.Attribute, ...]] = {}
        self._decisions: dict[tuple[Hashable, Faults], Decision] = {}

    def decided(self, outcome: Hashable, env: Env) -> tuple[Decision, tuple[ir.Attribute, ...]] | None:
        """The decision about a request of this outcome, if the same was wrong with one before, and what was."""
        reads = self._reads.get(outcome)
        if reads is None:
            return None
        decision = self._decisions.get((outcome, tuple(fault(each, env) for each in reads)))
        return None if decision is None else (decision, reads)

    def remember(self, outcome: Hashable, erred: Iterable[Rule], env: Env, decision: Decision) -> None:
        """Where all of these rules err for what they read first, the next such request need not be looked at."""
        if len(self._decisions) >= MOST_KNOWN:
            return
        reads: dict[Key, ir.Attribute] = {}
        for rule in erred:
            first = self.first(rule)
            if first is None:
                return
            reads.setdefault(*first)
        faults = tuple(fault(each, env) for each in reads.values())
        if None not in faults:
            self._reads[outcome] = tuple(reads.values())
            self._decisions[outcome, faults] = decision

    def first(self, rule: Rule) -> tuple[Key, ir.Attribute] | None:
        """What `first_read` says, found out once."""
        if rule.name not in self._known:
            self._known[rule.name] = first_read(rule)
        return self._known[rule.name]

    def faults(self, rules: list[Rule], env: Env) -> dict[str, tuple[str, str]]:
        """Why rules err, by their names, where it is what they read first: code and message."""
        tried: dict[Key, tuple[str, str] | None] = {}
        faults_by_name: dict[str, tuple[str, str]] = {}
        for rule in rules:
            read = self.first(rule)
            if read is None:
                continue
            key, attribute = read
            if key not in tried:
                tried[key] = fault(attribute, env)
            found = tried[key]
            if found is not None:
                faults_by_name[rule.name] = found
        return faults_by_name


def key_of(attribute: ir.Attribute) -> Key:
    """What tells an attribute of a root from all others."""
    assert isinstance(attribute.base, ir.Root)
    return attribute.base.name, attribute.name, str(attribute.type), attribute.owners


def fault(attribute: ir.Attribute, env: Env) -> tuple[str, str] | None:
    """Why an attribute has no value, if it has none: code and message."""
    try:
        evaluate(attribute, env)
    except EvaluationError as error:
        return error.code, error.message
    return None


def first_read(rule: Rule) -> tuple[Key, ir.Attribute] | None:
    """What tells the attribute from all others, and the attribute that a rule reads before anything else."""
    scopes = (rule.head.resource, rule.head.principal)
    if any(scope.entities is not None or scope.within is not None for scope in scopes):
        return None
    first = _first(rule.condition)
    if first is None or not isinstance(first.base, ir.Root):
        return None
    return key_of(first), first


def _first(expr: ir.Expr) -> ir.Attribute | None:
    """The attribute that is evaluated before anything that could err or decide."""
    match expr:
        case ir.Attribute(base=ir.Root()):
            return expr
        case ir.Attribute(base=base) | ir.Identity(base=base) | ir.Has(base=base):
            return _first(base)
        case ir.And(items=items) | ir.Or(items=items):
            return _first(items[0])
        case ir.Not(operand=one) | ir.Negate(operand=one) | ir.Like(operand=one) | ir.Is(entity=one):
            return _first(one)
        case ir.Quantifier(collection=one) | ir.If(condition=one):
            return _first(one)
        case ir.Compare(left=one, right=other) | ir.Equal(left=one, right=other) | ir.Arithmetic(left=one, right=other):
            return _first(other if isinstance(one, ir.Const) else one)
        case ir.Contains(item=one, collection=other) | ir.Within(entity=one, target=other):
            return _first(other if isinstance(one, ir.Const | ir.Root) else one)
    return None
