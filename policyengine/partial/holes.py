"""The holes of a gap: what lowering can ask about a caller, with the answer and the values.

Lowering asks for a hole here and gets the answer. The values are put in when a formula is filled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import Any, Literal

from policyengine.diagnostics.source import Source
from policyengine.evaluate.interpret import EvaluationError, in_scope
from policyengine.ir.nodes import Attribute, Const, Expr, Has, Head, Identity, Quantifier, Root, Scope
from policyengine.ir.walk import quantifies, substituted
from policyengine.model import operators
from policyengine.model.types import INT, JSON, NUMBER, EntityT, SetT, Type, element_of
from policyengine.model.values import Entity, Fault, Uid, guard
from policyengine.partial.atoms import is_scalar
from policyengine.partial.formula import Found, Hole
from policyengine.partial.gap import Gap
from policyengine.partial.gap_caller import NO_VALUE, GapCaller, ValueOf, value_in

# A quantifier over a caller's collection is written out up to this many elements; beyond that, it is left to
# evaluation.
MAX_ELEMENTS = 256

ERRS: Found = ("errs", None)
_ODD: Found = ("odd", None)
_TRUE: Found = ("true", None)
_FALSE: Found = ("false", None)
_UNASKED: Any = object()


class Holes:
    """The holes of one gap: the same question always has the same hole. If the caller is given, values are put in at
    once."""

    def __init__(self, of: GapCaller | None = None) -> None:
        self._caller = of
        # Expressions that are remembered by identity have to be kept alive.
        self._holes: dict[Hashable, tuple[Expr | None, Hole]] = {}
        self._values: dict[Hashable, tuple[Expr, ValueOf]] = {}
        self._expressions: dict[frozenset[Uid], Expr] = {}
        self._bodies: dict[int, tuple[Expr, Sequence[Expr]]] = {}

    # ---- of the value of an expression ----

    def truth(self, expr: Expr, gap: Gap) -> Hole:
        """Whether a condition is true."""
        return self._of("truth", expr, gap, lambda value: _TRUE if value else _FALSE)

    def value(self, expr: Expr, gap: Gap, as_type: Type | None = None) -> Hole:
        """The value; errs if it cannot be compared with anything as a value of `as_type`."""
        if as_type is None or is_scalar(as_type):
            return self._of("value", expr, gap, lambda value: ("some", value))
        return self._of("value", expr, gap, lambda value: _compared(value, as_type), as_type)

    def text(self, expr: Expr, gap: Gap) -> Hole:
        """A text; none if it is empty."""
        return self._of("text", expr, gap, lambda value: ("some" if value else "none", value))

    def elements(self, expr: Expr, gap: Gap, type_: Type, many: bool = True) -> Hole:
        """The values in a collection, or (not `many`) the single value, as far as a value of the type can equal
        them."""
        of = element_of(expr.type) if many else expr.type
        if is_scalar(type_) and of == type_:
            return self._of(
                "elements", expr, gap, _whole if many else lambda value: ("some", (value,)), many, many=True
            )
        return self._of(
            "elements", expr, gap, lambda value: _usable(value if many else (value,), type_), (type_, many), many=True
        )

    def collection(self, expr: Expr, gap: Gap) -> Hole:
        """The elements of a collection, for a quantifier; odd if there are too many."""
        return self._of(
            "collection", expr, gap, lambda values: _ODD if len(values) > MAX_ELEMENTS else _whole(values), many=True
        )  # fmt: skip

    def called(self, expr: Expr, gap: Gap, types: Iterable[str]) -> Hole:
        """The entities of these types whose id is a text."""
        names = tuple(sorted(types))
        return self._of(
            "called", expr, gap, lambda id_: ("some", tuple(Entity(Uid(name, id_)) for name in names)), names, many=True
        )

    def id_of(self, expr: Expr, gap: Gap) -> Hole:
        """The id of an entity, to compare with that of the unknown one; none if it is of another type."""
        type_ = gap.type
        return self._of(
            "id", expr, gap, lambda value: ("some", value.uid.id) if value.uid.type == type_ else ("none", None)
        )

    def ids(self, expr: Expr, gap: Gap) -> Hole:
        """The ids of the entities, or the one, that could be the unknown one; odd if some values cannot be used."""
        type_ = gap.type

        def found(value: Any) -> Found:
            values = (value,) if value.__class__ is Entity else value
            if _usable(values, JSON) is _ODD:
                return _ODD
            return _whole(tuple(v.uid.id for v in values if v.__class__ is Entity and v.uid.type == type_))

        return self._of("ids", expr, gap, found, many=True)

    def targets(self, expr: Expr, gap: Gap) -> Hole:
        """The targets of a search above the unknown entity or a value of it: the entities, and everything below
        them."""
        hierarchy = gap.hierarchy

        def found(value: Any) -> Found:
            uids = frozenset((value.uid,) if value.__class__ is Entity else (each.uid for each in value))
            return "some", (uids, hierarchy.closed(uids))

        return self._of("targets", expr, gap, found, many=True)

    # ---- of hierarchies ----

    def upwards(self, expr: Expr, gap: Gap, types: frozenset[str] | None) -> Hole:
        """An entity and everything above it, restricted to these types."""
        is_principal = isinstance(expr, Root) and expr.name == "principal"
        value = self.given(expr, gap)

        def find(caller: GapCaller) -> Found:
            entity = value(caller)
            if entity is NO_VALUE:
                return ERRS
            above = caller.ancestors if is_principal else caller.ancestors_of(entity)
            if above is NO_VALUE:
                return ERRS
            uids = sorted({entity.uid, *above})
            return _whole(tuple(Entity(uid) for uid in uids if types is None or uid.type in types))

        return self._made(("upwards", key_of(expr), types), expr, gap, find, many=True)

    def is_below(self, expr: Expr, gap: Gap) -> Hole:
        """Whether the unknown entity, whose parents are known, is below one of the targets."""
        targets, is_resource = self.targets(expr, gap), gap.unknown == "resource"

        def find(caller: GapCaller) -> Found:
            uids = (targets.fixed or targets.found(caller))[1][0]
            above = caller.ancestors_of(caller.request.resource if is_resource else caller.request.principal)
            return ERRS if above is NO_VALUE else _FALSE if uids.isdisjoint(above) else _TRUE

        return self._made(("is below", targets), expr, None, find)

    def is_among(self, ids: Hole, gap: Gap) -> Hole:
        """Whether the id of the unknown entity, which is known, is one of these."""
        is_resource = gap.unknown == "resource"

        def find(caller: GapCaller) -> Found:
            entity = caller.request.resource if is_resource else caller.request.principal
            return _TRUE if entity.uid.id in (ids.fixed or ids.found(caller))[1] else _FALSE

        return self._made(("is among", ids), None, None, find)

    def in_scope(self, scope: Scope, place: Literal["principal", "resource"]) -> Hole:
        """Whether the entity at this place of the request matches a head."""
        anything = Scope()
        head = Head(None, scope, anything) if place == "resource" else Head(None, anything, scope)

        def find(caller: GapCaller) -> Found:
            try:
                return _TRUE if in_scope(head, caller.env) else _FALSE
            except EvaluationError:
                return ERRS

        return self._made(("scope", place, scope), None, None, find)

    # ---- of what the caller promises ----

    def met(self, rule: str) -> Hole:
        """Whether the demand of a rule is met: an approval was given, a limit is metered."""
        return self._made(
            ("met", rule), None, None, lambda caller: _TRUE if rule in caller.met else _FALSE
        )  # fmt: skip

    def fulfilled(self, types: Collection[str]) -> Hole:
        every = frozenset(types)
        return self._made(
            ("fulfilled", every), None, None, lambda caller: _TRUE if every.issubset(caller.fulfilled) else _FALSE
        )

    # ---- each once ----

    def entities(self, uids: frozenset[Uid]) -> Expr:
        """The entities that a head names, as an expression."""
        return self._expressions.setdefault(uids, _entities(uids))

    def written_out(self, expr: Quantifier, elements: Sequence[Any]) -> Sequence[Expr]:
        """The body of a quantifier for each element of a constant collection."""
        known = self._bodies.get(id(expr))
        if known is None:
            type_ = element_of(expr.collection.type) or JSON
            constants = (Const(value=element, type=type_, span=expr.collection.span) for element in elements)
            bodies = [substituted(expr.body, expr.slot, constant) for constant in constants]
            known = self._bodies[id(expr)] = (expr, bodies)
        return known[1]

    def _of(
        self,
        kind: str,
        expr: Expr,
        gap: Gap,
        found: Callable[[Any], Found],
        more: Hashable = None,
        many: bool = False,
    ) -> Hole:
        value = self.given(expr, gap)

        def find(caller: GapCaller) -> Found:
            asked = value(caller)
            return ERRS if asked is NO_VALUE else found(asked)

        # The result of a quantifier depends on the enclosing ones.
        inside = len(gap.slots) if gap.slots and quantifies(expr) else 0
        return self._made((kind, key_of(expr), more, inside), expr, gap, find, many)

    def _made(
        self,
        key: Hashable,
        expr: Expr | None,
        gap: Gap | None,
        find: Callable[[GapCaller], Found],
        many: bool = False,
    ) -> Hole:
        known = self._holes.get(key)
        if known is None:
            fixed: Found | None = None
            if self._caller is not None:
                fixed = find(self._caller)
            elif expr is not None and gap is not None and gap.is_constant(expr):
                fixed = find(GapCaller(gap.empty.request, gap.world))
            known = self._holes.setdefault(key, (expr, Hole(many, find, fixed)))
        return known[1]

    def given(self, expr: Expr, gap: Gap) -> ValueOf:
        """A function that returns the value of an expression, or NO_VALUE; it is evaluated once for each caller."""
        key = key_of(expr)
        known = self._values.get(key)
        if known is None:
            known = self._values[key] = (expr, _once(value_in(gap, expr)))
        return known[1]


def _entities(uids: frozenset[Uid]) -> Expr:
    text = f"[{', '.join(map(str, sorted(uids)))}]"
    names = frozenset(uid.type for uid in uids)
    span = Source("", text).span(0, len(text))
    return Const(value=tuple(Entity(uid) for uid in sorted(uids)), type=SetT(EntityT(names)), span=span)


def _once(value: ValueOf) -> ValueOf:
    def find(caller: GapCaller) -> Any:
        known = caller.found
        value_found = known.get(find, _UNASKED)
        if value_found is _UNASKED:
            value_found = known[find] = value(caller)
        return value_found

    return find


def key_of(expr: Expr) -> Hashable:
    """The same key for expressions with the same value. Only names are compared by content, because Python takes `1`
    and `true` for equal; all others are compared by identity."""
    return expr if is_name(expr) else id(expr)


def is_name(expr: Expr) -> bool:
    """Whether it is an attribute of an attribute of a root."""
    while isinstance(expr, Attribute | Identity | Has):
        expr = expr.base
    return isinstance(expr, Root)


def _whole(values: Any) -> Found:
    return "some" if values else "none", values


def _compared(value: Any, as_type: Type) -> Found:
    try:
        operators.equal(value, value, as_type)
    except Fault:
        return ERRS
    return "some", value


def _usable(values: Any, type_: Type) -> Found:
    usable = []
    for value in values:
        try:
            operators.key(value)
        except Fault:
            return _ODD
        if value.__class__ is Entity or type_ == JSON:
            usable.append(value)
            continue
        try:
            # An Int may equal a Number that is not an integer type.
            usable.append(guard(value, NUMBER if type_ == INT else type_))
        except Fault:
            continue
    every = len(usable) == len(values)
    return ("some" if every else "partly") if usable else ("none" if every else "unfit"), tuple(usable)
