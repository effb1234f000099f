"""Membership, overlap and quantifiers in which the collection, or the value searched for, belongs to the unknown
entity."""

from __future__ import annotations

from typing import Any

from policyengine.ir.nodes import Call, Collection, Contains, Equal, Expr, Local, Not, Quantifier, Within
from policyengine.ir.outcomes import KnownOutcome
from policyengine.model.types import JSON, STRING, Type, element_of
from policyengine.partial.atoms import elements, is_scalar, one_of, there
from policyengine.partial.formula import FALSE, ID, Elements, ElementsKind, Formula, Hole, Path
from policyengine.partial.logic import conj, disj
from policyengine.partial.lowering import Lowering, put_all
from policyengine.partial.operands import Erring, GivenValue, Itself, Operand, Sought, operand
from policyengine.partial.outcome import ERRS, Outcome, negation

# Each is true of a collection exactly if its opposite is false.
_OPPOSITE: dict[ElementsKind, ElementsKind] = {
    "any": "none", "none": "any", "all": "lacks", "lacks": "all", "only": "other", "other": "only",
}  # fmt: skip


def containment(expr: Contains, lowering: Lowering) -> Outcome | None:
    """`item in collection`."""
    gap, holes = lowering.gap, lowering.holes
    item, collection = operand(expr.item, gap), operand(expr.collection, gap)
    if isinstance(item, Erring) or isinstance(collection, Erring):
        return ERRS
    match item, collection:
        case Sought(path=path, type=type_), GivenValue(expr=given) if is_scalar(type_):
            return _among(path, type_, given, lowering)
        case Itself(), GivenValue(expr=given):
            hole = holes.ids(given, gap)
            answer = lowering.ask(hole)
            if answer == "errs":
                return ERRS
            # If the id is known, no store has to be asked: evaluation gives the result at once.
            if answer == "odd" or "id" in gap.known:
                return None
            ids = () if answer == "none" else put_all(hole)
            return KnownOutcome(one_of(ID, STRING, ids), one_of(ID, STRING, ids, True), there(ID, STRING))
        case GivenValue(expr=given), Sought(path=path, type=type_):
            return _of_collection(path, type_, "any", given, False, lowering)
        case GivenValue(expr=given), _ if isinstance(expr.collection, Collection):
            return _among_own(given, [operand(part, gap) for part in expr.collection.items], lowering)
    return None


def _among(path: Path, type_: Type, given: Expr, lowering: Lowering) -> Outcome | None:
    """A value of the unknown entity is one of the given values."""
    hole = lowering.holes.elements(given, lowering.gap, type_)
    match lowering.ask(hole):
        case "errs":
            return ERRS
        case "odd":
            return None
        case "some" | "partly":
            values = put_all(hole)
        case _:
            values = ()
    return KnownOutcome(one_of(path, type_, values), one_of(path, type_, values, True), there(path, type_))


def _among_own(given: Expr, parts: list[Operand], lowering: Lowering) -> Outcome | None:
    """A given value among values of the unknown entity, written as a list: each of these is read first."""
    sought = [part for part in parts if isinstance(part, Sought) and is_scalar(part.type)]
    if len(sought) < len(parts):
        return None
    values: list[tuple[Sought, tuple[Any, ...]]] = []
    for part in sought:
        hole = lowering.holes.elements(given, lowering.gap, part.type, many=False)
        answer = lowering.ask(hole)
        if answer == "errs":
            return ERRS
        if answer == "odd":
            return None
        values.append((part, put_all(hole) if answer == "some" else ()))
    every = conj(*(there(part.path, part.type) for part in sought))
    return KnownOutcome(
        conj(every, disj(*(one_of(part.path, part.type, each) for part, each in values))),
        conj(*(one_of(part.path, part.type, each, True) for part, each in values)),
        every,
    )


def overlap(expr: Call, lowering: Lowering) -> Outcome | None:
    """`contains_any` and `contains_all`."""
    left, right = (operand(arg, lowering.gap) for arg in expr.args)
    if isinstance(left, Erring) or isinstance(right, Erring):
        return ERRS
    every = expr.function == "contains_all"
    match left, right:
        case Sought(path=path, type=type_), GivenValue(expr=given):
            return _of_collection(path, type_, "all" if every else "any", given, True, lowering)
        case GivenValue(expr=given), Sought(path=path, type=type_):
            return _of_collection(path, type_, "only" if every else "any", given, True, lowering)
    return None


def quantified(expr: Quantifier, lowering: Lowering) -> Outcome | None:
    """A quantifier over given elements, at least one, as a single test of all of them: whether they, or any of them,
    are in a collection of the unknown entity, or are a value of it. None if the body tests anything else."""
    element = element_of(expr.collection.type)
    given, any_, body = expr.collection, expr.kind == "any", expr.body
    match body:
        case Contains(item=Local(slot=slot), collection=other) if slot == expr.slot:
            operands = operand(other, lowering.gap)
            if isinstance(operands, Sought) and element is not None and _fits(element_of(operands.type), element):
                return _of_collection(operands.path, operands.type, "any" if any_ else "all", given, True, lowering)
        case Equal(left=Local(slot=slot), right=other) | Equal(left=other, right=Local(slot=slot)):
            operands = operand(other, lowering.gap)
            is_asked = slot == expr.slot and any_ is not body.negated
            if is_asked and isinstance(operands, Sought) and element is not None and _fits(operands.type, element):
                among = _among(operands.path, operands.type, given, lowering)
                return negation(among) if among is not None and not any_ else among
    return None


def _fits(type_: Type | None, other: Type) -> bool:
    """Whether every value of the other type is of the type, or plainly is not, and values of both are compared
    alike."""
    return type_ is not None and is_scalar(type_) and is_scalar(other) and type_.__class__ is other.__class__


def every_element(expr: Quantifier, path: Path, type_: Type, lowering: Lowering) -> Outcome | None:
    """A quantifier over a collection of the unknown entity whose body tests whether the element is one of the given
    values."""
    body, inside = expr.body, True
    while isinstance(body, Not):
        body, inside = body.operand, not inside
    if isinstance(body, Equal) and body.negated:
        inside = not inside
    kinds: dict[tuple[str, bool], ElementsKind] = {
        ("any", True): "any", ("any", False): "other", ("all", True): "only", ("all", False): "none",
    }  # fmt: skip
    kind = kinds[expr.kind, inside]
    match body:
        case Equal(left=Local(slot=s), right=other) | Equal(left=other, right=Local(slot=s)) if s == expr.slot:
            many = False
        case Contains(item=Local(slot=s), collection=other) if s == expr.slot:
            many = True
        case Within(entity=other, target=Local(slot=s)) if s == expr.slot and not lowering.gap.depends(other):
            hole = lowering.holes.upwards(other, lowering.gap, None)
            return None if lowering.ask(hole) == "errs" else _holding(path, type_, kind, hole)
        case _:
            return None
    if not isinstance(operand(other, lowering.gap), GivenValue):
        return None
    outcome = _of_collection(path, type_, kind, other, many, lowering)
    # For an empty collection the body is not evaluated.
    return None if outcome is ERRS else outcome


def _of_collection(
    path: Path, type_: Type, kind: ElementsKind, given: Expr, many: bool, lowering: Lowering
) -> Outcome | None:  # fmt: skip
    """Compares a collection of the unknown entity with given values."""
    element = element_of(type_) or JSON
    hole = lowering.holes.elements(given, lowering.gap, element, many)
    answer = lowering.ask(hole)
    if answer == "errs":
        return ERRS
    if answer == "odd":
        return None
    if not is_scalar(element):
        return _of_json(path, type_, hole) if kind == "any" and element == JSON and not many else None
    # A value that no element can be is never there, and therefore always lacking.
    if kind in ("all", "lacks") and answer in ("partly", "unfit"):
        always = there(path, type_)
        return KnownOutcome(FALSE, always, always) if kind == "all" else KnownOutcome(always, FALSE, always)
    return _holding(path, type_, kind, hole if answer in ("some", "partly") else None)


def _holding(path: Path, type_: Type, kind: ElementsKind, hole: Hole | None) -> Outcome:
    values = () if hole is None else put_all(hole)
    true, false = elements(path, type_, kind, values), elements(path, type_, _OPPOSITE[kind], values)
    return KnownOutcome(true, false, there(path, type_))


def _of_json(path: Path, type_: Type, hole: Hole) -> Outcome:
    """Json elements are read from left to right, up to one that cannot be compared."""
    formula: Formula = Elements(path, type_, "any", put_all(hole))
    missing: Formula = Elements(path, type_, "none", put_all(hole))
    return KnownOutcome(formula, missing, disj(formula, missing))
