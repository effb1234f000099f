"""One request with a gap, and what is found out about it, each thing once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Any

from policyengine.evaluate.interpret import Env, EvaluationError, evaluate
from policyengine.ir.nodes import Attribute, Compare, Const, Expr, Identity, Root, Within
from policyengine.model import operators
from policyengine.model.argument_sources import ProvenanceRead as ProvenanceRead
from policyengine.model.entities import ABSENT, World
from policyengine.model.request import Request
from policyengine.model.types import STRING, ListT, SetT, Type
from policyengine.model.values import Entity, Fault, Uid, guard
from policyengine.partial.gap import Gap

NO_VALUE: Any = object()
_UNASKED: Any = object()


class GapCaller:
    """A request in which one entity is unknown, with the obligations that the caller fulfils, and the rules whose
    demand is `met`: approvals that were given, limits that are metered. An entity with only the known attributes
    replaces the unknown one."""

    __slots__ = ("_ancestors", "found", "fulfilled", "locals", "met", "read", "request", "spread", "world")

    def __init__(
        self,
        request: Request,
        world: World,
        fulfilled: Collection[str] = (),
        met: Collection[str] = (),
        locals: Mapping[int, Any] | None = None,
    ) -> None:
        self.request, self.world = request, world
        self.fulfilled, self.met = fulfilled, met
        self.locals: Mapping[int, Any] = locals or {}
        # The results for holes and for expressions.
        self.found: dict[Hashable, Any] = {}
        # What is known of its provenance.
        self.read: ProvenanceRead = {}
        self._ancestors: Any = _UNASKED
        # How many times the body of the enclosing quantifiers is written out.
        self.spread = 1

    @property
    def env(self) -> Env:
        return Env(self.request, self.world, self.locals, looks=self.spread, read=self.read)

    @property
    def ancestors(self) -> Any:
        """Everything above the principal; NO_VALUE if that cannot be determined."""
        if self._ancestors is _UNASKED:
            self._ancestors = self.ancestors_of(self.request.principal)
        return self._ancestors

    def ancestors_of(self, entity: Entity) -> Any:
        try:
            return self.world.ancestors(entity)
        except Fault:
            return NO_VALUE

    def binding(self, slot: int, value: Any, of: int) -> GapCaller:
        """The same caller, within a quantifier over this many elements."""
        inner = GapCaller(self.request, self.world, self.fulfilled, self.met, {**self.locals, slot: value})
        # The results so far do not depend on the variable.
        inner.found = self.found.copy()
        inner.read = self.read
        inner._ancestors = self._ancestors
        inner.spread = self.spread * of
        return inner


ValueOf = Callable[[GapCaller], Any]


def value_of(expr: Expr, caller: GapCaller) -> Any:
    """The interpreter's value of the expression; NO_VALUE if it raises."""
    try:
        return evaluate(expr, caller.env)
    except EvaluationError:
        return NO_VALUE


def value_in(gap: Gap, expr: Expr) -> ValueOf:
    """A function that returns the value of an expression that does not depend on the unknown entity. Frequent kinds of
    expressions do without the interpreter."""
    match expr:
        case Root(name="principal"):
            return lambda caller: caller.request.principal
        case Identity(base=Root(name="principal")):
            return lambda caller: caller.request.principal.uid.id
        case Attribute(base=Root(name="principal"), name=name, owners=owners, type=type_):
            if owners is not None and gap.principal not in owners:
                return lambda _: NO_VALUE
            return _attribute(name, type_)
        case Within(entity=Root(name="principal"), target=target) if gap.is_constant(target):
            return _within(evaluate(target, gap.empty))
        case Compare(op=op, left=Attribute(base=Root(name="principal")) as left, right=Const(value=constant)):
            return _compared(op, value_in(gap, left), constant)
    return lambda caller: value_of(expr, caller)


def _attribute(name: str, type_: Type) -> ValueOf:
    is_text, of_texts = type_ == STRING, isinstance(type_, SetT | ListT) and type_.element == STRING

    def find(caller: GapCaller) -> Any:
        value = caller.world.find(caller.request.principal, name)
        kind = type(value)
        if kind is str and is_text:
            return value
        if kind is list and of_texts and {*map(type, value)} == {str}:
            return tuple(value)
        try:
            return NO_VALUE if value is ABSENT else guard(value, type_)
        except Fault:
            return NO_VALUE

    return find


def _compared(op: str, value: ValueOf, constant: Any) -> ValueOf:
    def find(caller: GapCaller) -> Any:
        asked = value(caller)
        return NO_VALUE if asked is NO_VALUE else operators.compare(op, asked, constant)

    return find


def _within(target: Any) -> ValueOf:
    targets = frozenset[Uid]((target.uid,) if target.__class__ is Entity else (each.uid for each in target))

    def find(caller: GapCaller) -> Any:
        above = caller.ancestors
        if above is NO_VALUE:
            return NO_VALUE
        return caller.request.principal.uid in targets or not targets.isdisjoint(above)

    return find
