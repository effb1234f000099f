"""What is known of one request, each value found at most once; and how it is found.

An expression that does not depend on the unknown entity is turned, once, into a function from Facts to its value, or to
NO_VALUE where the interpreter raises. What is not written out here is asked of the interpreter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from operator import itemgetter
from typing import Any

from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.ir.nodes import (
    And,
    Attribute,
    Compare,
    Const,
    Contains,
    Equal,
    Expr,
    Has,
    Identity,
    Not,
    Or,
    Root,
    Within,
)
from policyengine.model import operators
from policyengine.model.entities import ABSENT
from policyengine.model.types import BOOL, INT, STRING, ListT, SetT, Type, is_numeric
from policyengine.model.values import INT_MAX, INT_MIN, Entity, Fault, Uid, guard
from policyengine.partial.above import Above
from policyengine.partial.asking import Asking
from policyengine.partial.formula import Formula
from policyengine.partial.logic import Trace

NO_VALUE: Any = object()
_UNASKED: Any = object()
_join = "".join


class Facts:
    """A request, with what the caller fulfils, has approved or meters, and what was found out about it. `approved`
    names the rules whose demand is met: approvals that were given, limits that are metered."""

    __slots__ = (
        "_above",
        "_entities",
        "_over",
        "approved",
        "asking",
        "attributes",
        "fulfilled",
        "made",
        "record",
        "trace",
        "uid",
        "values",
    )  # fmt: skip

    def __init__(
        self, asking: Asking, over: Above, fulfilled: Collection[str] = (), approved: Collection[str] = ()
    ) -> None:
        principal = asking.request.principal
        self.asking = asking
        self.uid = principal.uid
        self.attributes = principal.attributes
        self.record = asking.world.record(principal.uid)
        self.values: dict[int, Any] = {}
        self.made: dict[int, Formula] = {}
        self.trace: Trace | None = None
        self.fulfilled, self.approved = fulfilled, approved
        self._over = over
        self._above: Any = _UNASKED
        self._entities: Any = None

    @property
    def above(self) -> Any:
        """Everything above the principal, as identities; NO_VALUE if that cannot be told."""
        if self._above is _UNASKED:
            try:
                self._above = self._over.of(self.asking.request.principal)
            except Fault:
                self._above = NO_VALUE
        return self._above

    @property
    def entities(self) -> Any:
        """The principal and everything above it, as entities in a fixed order; NO_VALUE if that cannot be told."""
        if self._entities is None:
            above = self.above
            self._entities = above if above is NO_VALUE else [*map(_bare, _in_order({self.uid, *above}))]
        return self._entities


def _in_order(uids: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    # Of one type, it is faster to compare the ids.
    return sorted(uids, key=itemgetter(1)) if len({uid[0] for uid in uids}) == 1 else sorted(uids)


@lru_cache(maxsize=20_000)
def _bare(uid: tuple[str, str]) -> Entity:
    """An entity of which nothing is known but what it is called. Callers have groups in common."""
    return Entity(Uid(*uid))


def with_leaves(facts: Facts, made: Mapping[int, Formula]) -> Facts:
    """The same request, but for what some leaves make of it."""
    other = copy(facts)
    other.made = {**facts.made, **made}
    other.trace = None
    return other


Fact = Callable[[Facts], Any]
Maker = Callable[[Facts], Formula]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """What makes a formula of a caller's values, at most once for each. It is an atom about one and the same value of
    the unknown entity, or true or false; or, where it `is_free`, any formula."""

    make: Maker
    number: int
    is_free: bool


class Known:
    """The functions for what is known, one for each expression. It lives as long as the policies do."""

    def __init__(self) -> None:
        # An expression that is remembered by identity has to stay.
        self._facts: dict[Any, tuple[Expr, Fact]] = {}
        self._numbers = count()
        self._leaves: dict[Maker, Leaf] = {}
        self._related: dict[Hashable, Maker] = {}

    def fact(self, expr: Expr, principal: str) -> Fact:
        """How to find the value of an expression that does not depend on the unknown entity, for principals of a
        type."""
        key = _key(expr, principal)
        found = self._facts.get(key)
        if found is None:
            find = self._finding(expr, principal)
            fact = find if isinstance(expr, Const) else _once(find, next(self._numbers))
            found = self._facts[key] = (expr, fact)
        return found[1]

    def leaf(self, maker: Maker, is_free: bool = False) -> Leaf:
        """The maker, made to make its formula at most once for each caller."""
        found = self._leaves.get(maker)
        if found is None:
            number = next(self._numbers)
            found = self._leaves.setdefault(maker, Leaf(_made_once(maker, number), number, is_free))
        return found

    def once(self, key: Hashable, maker: Maker) -> Maker:
        """The first maker for a key: for equal keys there is but one."""
        return self._related.setdefault(key, maker)

    def _finding(self, expr: Expr, principal: str) -> Fact:
        match expr:
            case Const(value=value):
                return lambda _: value
            case Root(name="principal"):
                return lambda facts: facts.asking.request.principal
            case Identity(base=Root(name="principal")):
                return lambda facts: facts.uid.id
            case Attribute(base=Root(name="principal"), name=name, owners=owners, type=type_):
                return _nothing if owners is not None and principal not in owners else _attribute(name, type_)
            case Has(base=Root(name="principal"), name=name, owners=owners):
                if owners is not None and principal not in owners:
                    return lambda _: False
                return lambda facts: name in facts.record or name in facts.attributes
            case Within(entity=Root(name="principal"), target=Const(value=target)):
                return _within(target)
            case Not(operand=operand):
                return _negation(self.fact(operand, principal))
            case And(items=items):
                return _first(False, [self.fact(item, principal) for item in items])
            case Or(items=items):
                return _first(True, [self.fact(item, principal) for item in items])
            case Equal(left=left, right=right, negated=negated) if left.type == right.type == STRING:
                return _equality(self.fact(left, principal), self.fact(right, principal), negated)
            case Compare(op=op, left=left, right=right) if is_numeric(left.type) and is_numeric(right.type):
                return _comparison(op, self.fact(left, principal), self.fact(right, principal))
            case Contains(item=item, collection=collection) if _of_texts(collection.type) and item.type == STRING:
                return _containment(self.fact(item, principal), self.texts(collection, principal), _asked(expr))
        return _asked(expr)

    def texts(self, expr: Expr, principal: str) -> Fact:
        """The texts in a collection of texts, as a set; NO_VALUE also if one is of a subclass."""
        key = ("texts", _key(expr, principal))
        found = self._facts.get(key)
        if found is None:
            fact = _once(_set_of(self.fact(expr, principal)), next(self._numbers))
            found = self._facts[key] = (expr, fact)
        return found[1]


def _key(expr: Expr, principal: str) -> Hashable:
    """The same for expressions that have the same value. Of others than names that is not told by comparing them: to
    Python `1` and `true` are equal."""
    match expr:
        case Attribute(base=Root(name="principal"), name=name, owners=owners, type=type_):
            return name, type_, owners is None or principal in owners
    return expr if is_name(expr) else id(expr)


def is_name(expr: Expr) -> bool:
    """Whether it is an attribute of an attribute of a root."""
    while isinstance(expr, Attribute | Identity | Has):
        expr = expr.base
    return isinstance(expr, Root)


def _of_texts(type_: Type) -> bool:
    return isinstance(type_, SetT | ListT) and type_.element == STRING


def _once(find: Fact, number: int) -> Fact:
    def fact(facts: Facts) -> Any:
        value = facts.values.get(number, _UNASKED)
        if value is _UNASKED:
            value = facts.values[number] = find(facts)
        return value

    return fact


def _made_once(maker: Maker, number: int) -> Maker:
    def make(facts: Facts) -> Formula:
        formula: Formula | None = facts.made.get(number)
        if formula is None:
            formula = facts.made[number] = maker(facts)
        return formula

    return make


def _nothing(_: Facts) -> Any:
    return NO_VALUE


def _asked(expr: Expr) -> Fact:
    """The interpreter's value."""

    def find(facts: Facts) -> Any:
        try:
            return evaluate(expr, facts.asking.env)
        except EvaluationError:
            return NO_VALUE

    return find


def _attribute(name: str, type_: Type) -> Fact:
    simple = str if type_ == STRING else bool if type_ == BOOL else None
    texts, integer = _of_texts(type_), type_ == INT

    def find(facts: Facts) -> Any:
        value = facts.record.get(name, ABSENT)
        if value is ABSENT:
            value = facts.attributes.get(name, ABSENT)
        kind = value.__class__
        if kind is simple or (integer and kind is int and INT_MIN <= value <= INT_MAX):
            return value
        if value is ABSENT:
            return NO_VALUE
        if texts and kind is list:
            try:
                _join(value)
            except TypeError:
                return NO_VALUE
            return tuple(value)
        try:
            return guard(value, type_)
        except Fault:
            return NO_VALUE

    return find


def _within(target: Any) -> Fact:
    targets = frozenset((target.uid,) if target.__class__ is Entity else (each.uid for each in target))

    def find(facts: Facts) -> Any:
        above = facts.above
        return NO_VALUE if above is NO_VALUE else facts.uid in targets or not targets.isdisjoint(above)

    return find


def _negation(operand: Fact) -> Fact:
    def find(facts: Facts) -> Any:
        value = operand(facts)
        return NO_VALUE if value is NO_VALUE else not value

    return find


def _first(ends: bool, items: Collection[Fact]) -> Fact:
    """From left to right up to the first that decides, or has no value."""

    def find(facts: Facts) -> Any:
        for item in items:
            value = item(facts)
            if value is NO_VALUE or value is ends:
                return value
        return not ends

    return find


def _equality(left: Fact, right: Fact, negated: bool) -> Fact:
    def find(facts: Facts) -> Any:
        a, b = left(facts), right(facts)
        return NO_VALUE if a is NO_VALUE or b is NO_VALUE else operators.equal(a, b, STRING) is not negated

    return find


def _comparison(op: str, left: Fact, right: Fact) -> Fact:
    def find(facts: Facts) -> Any:
        a, b = left(facts), right(facts)
        return NO_VALUE if a is NO_VALUE or b is NO_VALUE else operators.compare(op, a, b)

    return find


def _containment(item: Fact, texts: Fact, asked: Fact) -> Fact:
    def find(facts: Facts) -> Any:
        wanted, found = item(facts), texts(facts)
        return asked(facts) if wanted.__class__ is not str or found is NO_VALUE else wanted in found

    return find


def _set_of(collection: Fact) -> Fact:
    def find(facts: Facts) -> Any:
        values = collection(facts)
        return NO_VALUE if values is NO_VALUE or set(map(type, values)) - {str} else frozenset(values)

    return find
