"""From a condition with a gap to its outcome.

Conditions that this file and its neighbours `relations`, `membership` and `within` cannot translate become Opaque,
which is always correct: these are left to evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

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
from policyengine.ir.outcomes import KnownOutcome
from policyengine.ir.walk import counts, quantifies
from policyengine.model.types import BOOL, JSON, EntityT, RecordT, record
from policyengine.partial.atoms import there
from policyengine.partial.formula import FALSE, TRUE, Formula, Missing, Opaque, Present, Relation
from policyengine.partial.formula_skeleton import deferred
from policyengine.partial.logic import conj
from policyengine.partial.lowering import Lowering
from policyengine.partial.membership import containment, every_element, overlap, quantified
from policyengine.partial.operands import Erring, GivenValue, Itself, Sought, operand
from policyengine.partial.outcome import (
    ALWAYS,
    ERRS,
    NEVER,
    Outcome,
    both,
    bounded,
    choice,
    either,
    negation,
)
from policyengine.partial.relations import comparison, equality, matching, starting
from policyengine.partial.within import hierarchy


def condition(expr: Expr, lowering: Lowering) -> Outcome:
    """The outcome of a condition."""
    match expr:
        case Not(operand=inner):
            return negation(condition(inner, lowering))
        case And(items=items):
            outcome = both(_until(NEVER, items, lowering))
        case Or(items=items):
            outcome = either(_until(ALWAYS, items, lowering))
        case If(condition=test, then=then, otherwise=otherwise):
            outcome = _conditional(test, then, otherwise, lowering)
        case _ if not lowering.gap.depends(expr):
            return settled(expr, lowering)
        case _:
            return _outcome(expr, lowering) or opaque(expr)
    return bounded(outcome, opaque(expr)) if lowering.gap.depends(expr) else outcome


def _until(end: Outcome, items: Iterable[Expr], lowering: Lowering) -> list[Outcome]:
    """The outcomes of the items, up to the first that decides for all callers who are like this one, or errs."""
    outcomes = []
    for item in items:
        outcomes.append(condition(item, lowering))
        # The items after it are not lowered: a hole in them would separate callers who are alike.
        if outcomes[-1] is end or outcomes[-1] is ERRS:
            break
    return outcomes


def _conditional(test: Expr, then: Expr, otherwise: Expr, lowering: Lowering) -> Outcome:
    asked = condition(test, lowering)
    if asked is ERRS:
        return ERRS
    return choice(
        asked,
        NEVER if asked is NEVER else condition(then, lowering),
        NEVER if asked is ALWAYS else condition(otherwise, lowering),
    )


def settled(expr: Expr, lowering: Lowering) -> Outcome:
    """The outcome of a condition that depends on the caller alone."""
    answer = lowering.ask(lowering.holes.truth(expr, lowering.gap))
    return ALWAYS if answer == "true" else NEVER if answer == "false" else ERRS


def opaque(expr: Expr) -> Outcome:
    true, false, defined = (Opaque(expr, wanted) for wanted in (True, False, None))
    return KnownOutcome(true, false, defined)


def defined(expr: Expr, lowering: Lowering) -> Formula:
    """The condition for an expression to have a value."""
    match operand(expr, lowering.gap):
        case GivenValue():
            return FALSE if lowering.ask(lowering.holes.value(expr, lowering.gap)) == "errs" else TRUE
        case Itself():
            return TRUE
        case Erring():
            return FALSE
        case Sought(path=path, type=type_):
            return there(path, type_)
    return Opaque(expr, None)


def _outcome(expr: Expr, lowering: Lowering) -> Outcome | None:
    """None if only evaluation can tell."""
    outcome = _asked(expr, lowering)
    return outcome if isinstance(expr, Quantifier) else _counted(outcome, expr, lowering)


def _asked(expr: Expr, lowering: Lowering) -> Outcome | None:
    match expr:
        case Attribute() | Expect():
            return _truth_value(expr, lowering)
        case Has():
            return _has(expr, lowering)
        case Is():
            return _is(expr, lowering)
        case Like(operand=text, pattern=pattern):
            return matching(text, pattern, lowering)
        case Equal():
            return equality(expr, lowering)
        case Compare():
            return comparison(expr, lowering)
        case Contains():
            return containment(expr, lowering)
        case Within():
            return hierarchy(expr, lowering)
        case Call(function="contains_any" | "contains_all"):
            return overlap(expr, lowering)
        case Call(function="starts_with" | "ends_with" | "contains"):
            return starting(expr, lowering)
        case Quantifier(kind="any" | "all"):
            return _quantifier(expr, lowering)
    return None


def _truth_value(expr: Attribute | Expect, lowering: Lowering) -> Outcome | None:
    match operand(expr, lowering.gap):
        case Sought(path=path):
            return KnownOutcome(
                Relation(path, BOOL, "==", True), Relation(path, BOOL, "==", False), there(path, BOOL)
            )  # fmt: skip
    return None


def _has(expr: Has, lowering: Lowering) -> Outcome | None:
    match operand(expr.base, lowering.gap):
        case Erring():
            return ERRS
        case Itself():
            if expr.owners is not None and lowering.gap.type not in expr.owners:
                return NEVER
            return _there((expr.name,), TRUE)
        case Sought(path=path, type=type_) if type_ == JSON or isinstance(type_, RecordT):
            return _there((*path, expr.name), there(path, record({})))
    return None


def _there(path: tuple[str, ...], defined: Formula) -> Outcome:
    return KnownOutcome(Present(path), Missing(path), defined)


def _is(expr: Is, lowering: Lowering) -> Outcome | None:
    match operand(expr.entity, lowering.gap):
        case Sought(path=path, type=EntityT(names)):
            return KnownOutcome(
                there(path, EntityT(names & expr.names)) if names & expr.names else FALSE,
                there(path, EntityT(names - expr.names)) if names - expr.names else FALSE,
                there(path, EntityT(names)),
            )
    return None


def _counted(found: Outcome | None, expr: Expr, lowering: Lowering) -> Outcome | None:
    """The outcome for a store; within a quantifier, evaluation checks whether there are too many elements."""
    if found is None or found is ERRS or not lowering.gap.slots or not quantifies(expr):
        return found
    evaluated = opaque(expr)
    return KnownOutcome(conj(found.true, evaluated.true), conj(found.false, evaluated.false), evaluated.defined)


def _quantifier(expr: Quantifier, lowering: Lowering) -> Outcome | None:
    match operand(expr.collection, lowering.gap):
        case _ if counts(expr.body, expr.slot):
            return None
        case GivenValue():
            return _over_given(expr, lowering)
        case Sought(path=path, type=type_):
            # Within another quantifier the number of elements counts, and stores cannot check that.
            return None if lowering.gap.slots else every_element(expr, path, type_, lowering)
        case Erring():
            return ERRS
    return None


def _over_given(expr: Quantifier, lowering: Lowering) -> Outcome | None:
    """The outcome for a collection that comes from the caller, or is constant."""
    gap, holes = lowering.gap, lowering.holes
    hole = holes.collection(expr.collection, gap)
    answer = lowering.ask(hole)
    if answer == "errs":
        return ERRS
    if answer == "none":
        return ALWAYS if expr.kind == "all" else NEVER
    at_once = None if gap.slots else quantified(expr, lowering)
    if at_once is not None or answer == "odd":
        return at_once
    join: Callable[[list[Outcome]], Outcome] = either if expr.kind == "any" else both
    if hole.fixed is not None and not quantifies(expr.body):
        return join([condition(body, lowering) for body in holes.written_out(expr, hole.fixed[1])])
    return deferred(hole, expr, gap.binding(expr.slot), holes, lambda asked: condition(expr.body, asked), join)
