"""Conditions that compare a value of the unknown entity with a known one, as functions from Facts to a formula.

Each says of one kind of expression what `relations`, `membership` and `within` say of it, for the values that nearly
all requests have. None for what is not written out here: then these have to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from policyengine.ir.nodes import (
    Call,
    Compare,
    Contains,
    Equal,
    Expr,
    Identity,
    Local,
    Quantifier,
    Root,
    Within,
)
from policyengine.model.types import STRING, EntityT, Type, element_of
from policyengine.model.values import Entity, Uid
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import holds, one_of, plain, there
from policyengine.partial.facts import NO_VALUE, Fact, Facts, Known, Maker
from policyengine.partial.formula import FALSE, TRUE, Formula, Kind, Operator, Relation
from policyengine.partial.reading import Read, reading
from policyengine.partial.relations import MIRRORED, OPPOSITE

# Whether the condition is true, is false, or (None) has a value.
Wanted = bool | None


def leaf(expr: Expr, wanted: Wanted, asking: Asking, known: Known) -> Maker | None:
    """The formula for the expression being what is wanted."""
    match expr:
        case Equal(left=left, right=right, negated=negated):
            sides = _sides(left, right, asking, known)
            return _equal(sides, "!=" if negated else "==", wanted, asking, known) if sides is not None else None
        case Compare(op=op, left=left, right=right):
            sides = _sides(left, right, asking, known)
            if sides is None:
                return None
            return _compared(sides, op if sides[0] is left else MIRRORED[op], wanted, asking, known)
        case Contains(item=item, collection=collection):
            if asking.depends(item):
                return _among(item, _fact(collection, asking, known), collection.type, wanted, asking)
            return _contains(item, collection, wanted, asking, known)
        case Call(function="contains_any" | "contains_all" as function, args=(left, right)):
            sides = _sides(left, right, asking, known)
            if sides is None:
                return None
            kind: Kind = "any" if function == "contains_any" else "all" if sides[0] is left else "only"
            return _overlaps(sides, kind, wanted, asking)
        case Within(entity=entity, target=target):
            return _inside(entity, target, wanted, asking)
        case Quantifier():
            return _quantified(expr, wanted, asking, known)
    return None


# ---- one value ----

# The side that reads the unknown entity, the value of the other, and the type of that.
_Sides = tuple[Expr, Fact, Type]


def _sides(left: Expr, right: Expr, asking: Asking, known: Known) -> _Sides | None:
    if asking.depends(right):
        left, right = right, left
    fact = _fact(right, asking, known)
    return None if fact is None else (left, fact, right.type)


def _fact(expr: Expr, asking: Asking, known: Known) -> Fact | None:
    return None if asking.depends(expr) else known.fact(expr, asking.request.principal.uid.type)


def _equal(sides: _Sides, op: Operator, wanted: Wanted, asking: Asking, known: Known) -> Maker | None:
    expr, fact, type_ = sides
    if isinstance(expr, Identity):
        return _named(expr, fact, op, wanted, asking, known) if type_ == STRING else None
    read = reading(expr, asking)
    if not isinstance(read, Read) or not plain(read.type) or not plain(type_):
        return None
    return _related(read, fact, op, wanted, known)


def _compared(sides: _Sides, op: Operator, wanted: Wanted, asking: Asking, known: Known) -> Maker | None:
    expr, fact, _ = sides
    read = reading(expr, asking)
    return _related(read, fact, op, wanted, known) if isinstance(read, Read) else None


def _related(read: Read, fact: Fact, op: Operator, wanted: Wanted, known: Known) -> Maker:
    path, type_ = read.path, read.type
    if wanted is None:
        return _if_known(fact, there(path, type_))
    asked = op if wanted else OPPOSITE[op]

    def make(facts: Facts) -> Formula:
        value = fact(facts)
        return FALSE if value is NO_VALUE else Relation(path, type_, asked, value)

    # The same is asked in several rules, and is said once.
    return known.once((path, type_, asked, fact), make)


def _if_known(fact: Fact, formula: Formula) -> Maker:
    return lambda facts: FALSE if fact(facts) is NO_VALUE else formula


def _named(expr: Identity, fact: Fact, op: Operator, wanted: Wanted, asking: Asking, known: Known) -> Maker | None:
    """The id of an entity that an attribute refers to, or of the unknown entity."""
    own = reading(expr, asking)
    if isinstance(own, Read):
        return _related(own, fact, op, wanted, known)
    read = reading(expr.base, asking)
    if not isinstance(read, Read) or not isinstance(read.type, EntityT):
        return None
    path, type_ = read.path, read.type
    if wanted is None:
        return _if_known(fact, there(path, type_))
    names, negated = sorted(type_.names), wanted is not (op == "==")

    def make(facts: Facts) -> Formula:
        id_ = fact(facts)
        if id_ is NO_VALUE:
            return FALSE
        return one_of(path, type_, [Entity(Uid(name, id_)) for name in names], negated)

    return make


# ---- one of several ----


def _among(item: Expr, fact: Fact | None, of: Type, wanted: Wanted, asking: Asking) -> Maker | None:
    """A value of the unknown entity is in a known collection."""
    read = reading(item, asking)
    if fact is None or not isinstance(read, Read) or not _fits(read.type, element_of(of)):
        return None
    path, type_ = read.path, read.type
    if wanted is None:
        return _if_known(fact, there(path, type_))

    def make(facts: Facts) -> Formula:
        values = fact(facts)
        return FALSE if values is NO_VALUE else one_of(path, type_, values, not wanted)

    return make


def _fits(type_: Type, other: Type | None) -> bool:
    """Whether every value of the other type is one of the type, and both are compared as Python does."""
    if isinstance(type_, EntityT):
        return isinstance(other, EntityT)
    return type_ == other and plain(type_)


def _contains(item: Expr, collection: Expr, wanted: Wanted, asking: Asking, known: Known) -> Maker | None:
    """A known value is in a collection of the unknown entity."""
    read, fact = reading(collection, asking), _fact(item, asking, known)
    if fact is None or not isinstance(read, Read) or not _fits(element_of(read.type) or STRING, item.type):
        return None
    return _holding(read, lambda value: (value,), fact, "any", wanted) if element_of(read.type) else None


def _overlaps(sides: _Sides, kind: Kind, wanted: Wanted, asking: Asking) -> Maker | None:
    expr, fact, type_ = sides
    read = reading(expr, asking)
    if not isinstance(read, Read):
        return None
    element, other = element_of(read.type), element_of(type_)
    if element is None or other is None or not _fits(element, other):
        return None
    return _holding(read, lambda values: values, fact, kind, wanted)


_NOT: dict[Kind, Kind] = {
    "any": "none",
    "all": "lacks",
    "only": "other",
    "none": "any",
    "lacks": "all",
    "other": "only",
}


def _holding(read: Read, values: Callable[[Any], Sequence[Any]], fact: Fact, kind: Kind, wanted: Wanted) -> Maker:
    path, type_ = read.path, read.type
    if wanted is None:
        return _if_known(fact, there(path, type_))
    asked = kind if wanted else _NOT[kind]

    def make(facts: Facts) -> Formula:
        value = fact(facts)
        return FALSE if value is NO_VALUE else holds(path, type_, asked, values(value))

    return make


def _quantified(expr: Quantifier, wanted: Wanted, asking: Asking, known: Known) -> Maker | None:
    """`any x in known: x in theirs`, and the like: what is asked of no element is true or false of anything."""
    body, fact = expr.body, _fact(expr.collection, asking, known)
    element = element_of(expr.collection.type)
    if fact is None or element is None:
        return None
    decided = TRUE if wanted is None or wanted is (expr.kind == "all") else FALSE
    match body:
        case Contains(item=Local(slot=slot), collection=collection) if slot == expr.slot:
            read = reading(collection, asking)
            if not isinstance(read, Read) or not _fits(element_of(read.type) or STRING, element):
                return None
            if element_of(read.type) is None:
                return None
            made = _holding(read, lambda values: values, fact, "any" if expr.kind == "any" else "all", wanted)
        case Equal(left=left, right=right, negated=False) if expr.kind == "any":
            other = right if isinstance(left, Local) and left.slot == expr.slot else left
            if not any(isinstance(side, Local) and side.slot == expr.slot for side in (left, right)):
                return None
            found = _among(other, fact, expr.collection.type, wanted, asking)
            if found is None:
                return None
            made = found
        case _:
            return None

    def make(facts: Facts) -> Formula:
        values = fact(facts)
        return FALSE if values is NO_VALUE else made(facts) if values else decided

    return make


# ---- hierarchies ----


def _inside(entity: Expr, target: Expr, wanted: Wanted, asking: Asking) -> Maker | None:
    """The principal is in what an attribute of the unknown entity refers to."""
    read = reading(target, asking)
    if asking.depends(entity) or not _is_principal(entity) or not isinstance(read, Read):
        return None
    path, type_ = read.path, read.type
    names = type_.names if isinstance(type_, EntityT) else None
    if names is None and not isinstance(element_of(type_), EntityT):
        return None
    defined = there(path, type_)

    def make(facts: Facts) -> Formula:
        above = facts.entities
        if above is NO_VALUE:
            return FALSE
        if wanted is None:
            return defined
        if names is None:
            return holds(path, type_, "any" if wanted else "none", above)
        return one_of(path, type_, [each for each in above if each.uid.type in names], not wanted)

    return make


def _is_principal(expr: Expr) -> bool:
    return isinstance(expr, Root) and expr.name == "principal"
