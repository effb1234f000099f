"""Equality, order and patterns between a value of the unknown entity and either a given value or another of its own
values.
"""

from __future__ import annotations

from policyengine.ir.nodes import Call, Compare, Equal, Expr, Identity
from policyengine.ir.outcomes import KnownOutcome
from policyengine.model.types import STRING, EntityT, SetT, Type, element_of, is_numeric
from policyengine.partial.atoms import is_scalar, one_of, there
from policyengine.partial.formula import ID, Formula, Matching, Operator, Relation, Sized, TwoFields
from policyengine.partial.logic import conj, disj
from policyengine.partial.lowering import Lowering, put, put_all
from policyengine.partial.operands import Erring, GivenValue, Itself, Operand, Sought, operand
from policyengine.partial.outcome import ERRS, NEVER, Outcome, negation

MIRRORED: dict[str, Operator] = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
OPPOSITE: dict[str, Operator] = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}


def equality(expr: Equal, lowering: Lowering) -> Outcome | None:
    outcome = _equal(expr, lowering)
    return negation(outcome) if outcome is not None and expr.negated else outcome


def _equal(expr: Equal, lowering: Lowering) -> Outcome | None:
    sized = _size(expr.left, "==", expr.right, lowering)
    if sized is not None:
        return sized
    sought, given, _ = _sides(expr.left, expr.right, lowering)
    if not isinstance(given, GivenValue):
        return ERRS if isinstance(sought, Erring) or isinstance(given, Erring) else _own(sought, given)
    if isinstance(sought, Erring) or _errs(given, lowering):
        return ERRS
    match sought:
        case Sought(path=path, type=type_):
            return _equal_to(path, type_, given, expr.left.type, lowering)
        case Itself():
            return _same_entity(given, lowering)
    identity = expr.right if given.expr is expr.left else expr.left
    if isinstance(identity, Identity) and given.expr.type == STRING:
        return _identity(identity, given, lowering)
    return None


def _sides(left: Expr, right: Expr, lowering: Lowering) -> tuple[Operand, Operand, bool]:
    """The sought operand, then the other one; and whether they were swapped. At most one of the two is given."""
    one, other = operand(left, lowering.gap), operand(right, lowering.gap)
    return (other, one, True) if isinstance(one, GivenValue) else (one, other, False)


def _errs(given: GivenValue, lowering: Lowering) -> bool:
    return lowering.ask(lowering.holes.value(given.expr, lowering.gap)) == "errs"


def _own(left: Operand, right: Operand) -> Outcome | None:
    """Compares two values of the unknown entity."""
    if not (isinstance(left, Sought) and isinstance(right, Sought) and is_scalar(left.type) and is_scalar(right.type)):
        return None
    same, other = (TwoFields(left.path, left.type, op, right.path, right.type) for op in ("==", "!="))
    return KnownOutcome(same, other, conj(there(left.path, left.type), there(right.path, right.type)))


def _equal_to(
    path: tuple[str, ...], type_: Type, given: GivenValue, as_type: Type, lowering: Lowering
) -> Outcome | None:
    """Compares a value of the unknown entity with a given one, as values of `as_type`."""
    hole = lowering.holes.value(given.expr, lowering.gap, as_type)
    if lowering.ask(hole) == "errs":
        return ERRS
    same, other = Relation(path, type_, "==", put(hole)), Relation(path, type_, "!=", put(hole))
    if is_scalar(type_):
        return KnownOutcome(same, other, there(path, type_))
    # Sets are compared without order and lists with it, and a store goes by the type of its own value.
    if isinstance(type_, SetT) != isinstance(as_type, SetT):
        return None
    # Whether a Json value can be compared at all depends on the value.
    return KnownOutcome(same, other, disj(same, other))


def _same_entity(given: GivenValue, lowering: Lowering) -> Outcome | None:
    """Whether the unknown entity is this one."""
    if not isinstance(given.expr.type, EntityT):
        return None
    hole = lowering.holes.id_of(given.expr, lowering.gap)
    if lowering.ask(hole) == "none":
        return NEVER
    return KnownOutcome(Relation(ID, STRING, "==", put(hole)), Relation(ID, STRING, "!=", put(hole)), there(ID, STRING))


def _identity(expr: Identity, given: GivenValue, lowering: Lowering) -> Outcome | None:
    """Compares the id of an entity that an attribute refers to."""
    match operand(expr.base, lowering.gap):
        case Sought(path=path, type=EntityT(names) as type_):
            entities = put_all(lowering.holes.called(given.expr, lowering.gap, names))
            return KnownOutcome(one_of(path, type_, entities), one_of(path, type_, entities, True), there(path, type_))
    return None


def comparison(expr: Compare, lowering: Lowering) -> Outcome | None:
    sized = _size(expr.left, expr.op, expr.right, lowering)
    if sized is not None:
        return sized
    sought, other, mirrored = _sides(expr.left, expr.right, lowering)
    op: Operator = MIRRORED[expr.op] if mirrored else expr.op
    if isinstance(sought, Erring) or isinstance(other, Erring):
        return ERRS
    if isinstance(other, GivenValue) and _errs(other, lowering):
        return ERRS
    match sought, other:
        case Sought(path=path, type=type_), GivenValue(expr=given):
            value = put(lowering.holes.value(given, lowering.gap))
            holds, fails = Relation(path, type_, op, value), Relation(path, type_, OPPOSITE[op], value)
            return KnownOutcome(holds, fails, there(path, type_))
        case Sought() as left, Sought() as right if is_numeric(left.type) and is_numeric(right.type):
            true, false = (TwoFields(left.path, left.type, o, right.path, right.type) for o in (op, OPPOSITE[op]))
            return KnownOutcome(true, false, conj(there(left.path, left.type), there(right.path, right.type)))
    return None


def _size(left: Expr, op: Operator, right: Expr, lowering: Lowering) -> Outcome | None:
    """The size of a collection or text, compared with a given number."""
    if isinstance(right, Call) and right.function == "size" and lowering.gap.depends(right):
        left, op, right = right, MIRRORED[op], left
    if not (isinstance(left, Call) and left.function == "size"):
        return None
    match operand(left.args[0], lowering.gap), operand(right, lowering.gap):
        case Sought(path=path, type=type_), GivenValue(expr=given) if is_scalar(element_of(type_) or type_):
            hole = lowering.holes.value(given, lowering.gap)
            if lowering.ask(hole) == "errs":
                return ERRS
            true, false = Sized(path, type_, op, put(hole)), Sized(path, type_, OPPOSITE[op], put(hole))
            return KnownOutcome(true, false, there(path, type_))
    return None


def starting(expr: Call, lowering: Lowering) -> Outcome | None:
    """`starts_with`, `ends_with` and `contains`."""
    text, piece = expr.args
    if not isinstance(operand(piece, lowering.gap), GivenValue):
        return None
    hole = lowering.holes.text(piece, lowering.gap)
    answer = lowering.ask(hole)
    if answer == "errs":
        return ERRS
    if answer == "none":
        return matching(text, ("", ""), lowering)
    given = put(hole)
    pieces = {"starts_with": (given, ""), "ends_with": ("", given), "contains": ("", given, "")}
    return matching(text, pieces[expr.function], lowering)


def matching(text: Expr, pieces: tuple[str, ...], lowering: Lowering) -> Outcome | None:
    """A text and a glob, in pieces between its `*`."""
    operand_read = operand(text, lowering.gap)
    if isinstance(operand_read, Erring):
        return ERRS
    if not isinstance(operand_read, Sought):
        return None
    path = operand_read.path
    true: Formula = Matching(path, STRING, pieces)
    false: Formula = Matching(path, STRING, pieces, True)
    if len(pieces) == 1:
        true, false = Relation(path, STRING, "==", pieces[0]), Relation(path, STRING, "!=", pieces[0])
    elif not any(pieces):
        true, false = there(path, STRING), one_of(path, STRING, ())
    return KnownOutcome(true, false, there(path, STRING))
