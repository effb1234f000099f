"""From a condition with a gap to its outcome.

What this file and its neighbours `relations` and `membership` do not understand becomes Opaque, which is always right:
only evaluation can tell then.
"""

from __future__ import annotations

from policyengine.ir.nodes import (
    And,
    Attribute,
    Call,
    Compare,
    Contains,
    Equal,
    Expect,
    Expr,
    Has,
    If,
    Is,
    Like,
    Not,
    Or,
    Quantifier,
    Within,
)
from policyengine.model.types import BOOL, JSON, EntityT, RecordT, record
from policyengine.partial.asking import Asking
from policyengine.partial.atoms import there
from policyengine.partial.formula import FALSE, TRUE, Formula, Missing, Opaque, Present, Relation
from policyengine.partial.membership import containment, every_element, overlap
from policyengine.partial.outcome import (
    ERRS,
    NEVER,
    Bounded,
    Outcome,
    Told,
    both,
    choice,
    either,
    negation,
    opaque,
    settled,
)
from policyengine.partial.reading import Erring, Itself, Known, Read, reading
from policyengine.partial.relations import comparison, equality, matching
from policyengine.partial.within import hierarchy

# A quantifier over a known collection is written out up to this many elements; beyond that, evaluation tells.
MAX_ELEMENTS = 256


def condition(expr: Expr, asking: Asking) -> Outcome:
    """The outcome of a condition."""
    if not asking.depends(expr):
        return settled(reading(expr, asking))
    found = _outcome(expr, asking)
    if found is None:
        return opaque(expr, asking)
    return found if isinstance(found, Told) else Bounded(found, expr, asking)


def defined(expr: Expr, asking: Asking) -> Formula:
    """When an expression has a value."""
    match reading(expr, asking):
        case Known() | Itself():
            return TRUE
        case Erring():
            return FALSE
        case Read(path=path, type=type_):
            return there(path, type_)
    return Opaque(expr, None, asking.env)


def _outcome(expr: Expr, asking: Asking) -> Outcome | None:
    """None where only evaluation can tell."""
    match expr:
        case Not(operand=operand):
            return negation(condition(operand, asking))
        case And(items=items):
            return both([condition(item, asking) for item in items])
        case Or(items=items):
            return either([condition(item, asking) for item in items])
        case If():
            return _conditional(expr, asking)
        case Attribute() | Expect():
            return _truth_value(expr, asking)
        case Has():
            return _has(expr, asking)
        case Is():
            return _is(expr, asking)
        case Like(operand=operand, pattern=pattern):
            return matching(operand, pattern, asking)
        case Equal():
            return equality(expr, asking)
        case Compare():
            return comparison(expr, asking)
        case Contains():
            return containment(expr, asking)
        case Within():
            return hierarchy(expr, asking)
        case Call():
            return _call(expr, asking)
        case Quantifier():
            return _quantifier(expr, asking)
    return None


def _conditional(expr: If, asking: Asking) -> Outcome:
    return choice(*(condition(part, asking) for part in (expr.condition, expr.then, expr.otherwise)))


def _truth_value(expr: Attribute | Expect, asking: Asking) -> Outcome | None:
    match reading(expr, asking):
        case Read(path=path):
            return Told(
                Relation(path, BOOL, "==", True), Relation(path, BOOL, "==", False), there(path, BOOL)
            )  # fmt: skip
    return None


def _has(expr: Has, asking: Asking) -> Outcome | None:
    match reading(expr.base, asking):
        case Erring():
            return ERRS
        case Itself():
            if expr.owners is not None and asking.type not in expr.owners:
                return NEVER
            return _there((expr.name,), TRUE)
        case Read(path=path, type=type_) if type_ == JSON or isinstance(type_, RecordT):
            return _there((*path, expr.name), there(path, record({})))
    return None


def _there(path: tuple[str, ...], defined: Formula) -> Outcome:
    return Told(Present(path), Missing(path), defined)


def _is(expr: Is, asking: Asking) -> Outcome | None:
    match reading(expr.entity, asking):
        case Read(path=path, type=EntityT(names)):
            return Told(
                there(path, EntityT(names & expr.names)) if names & expr.names else FALSE,
                there(path, EntityT(names - expr.names)) if names - expr.names else FALSE,
                there(path, EntityT(names)),
            )
    return None


def _call(expr: Call, asking: Asking) -> Outcome | None:
    match expr.function:
        case "contains_any" | "contains_all":
            return overlap(expr, asking)
        case "starts_with" | "ends_with" | "contains":
            piece = reading(expr.args[1], asking)
            if isinstance(piece, Known):
                return matching(expr.args[0], _pieces(expr.function, piece.value), asking)
    return None


def _pieces(function: str, text: str) -> tuple[str, ...]:
    """The pattern of `like` that says the same."""
    match function:
        case "starts_with":
            return (text, "")
        case "ends_with":
            return ("", text)
    return ("", text, "") if text else ("", "")


def _quantifier(expr: Quantifier, asking: Asking) -> Outcome | None:
    match reading(expr.collection, asking):
        case Known(value=elements) if len(elements) <= MAX_ELEMENTS:
            outcomes = [condition(expr.body, asking.binding(expr.slot, element)) for element in elements]
            return either(outcomes) if expr.kind == "any" else both(outcomes)
        case Read(path=path, type=type_):
            return every_element(expr, path, type_, asking)
        case Erring():
            return ERRS
    return None
