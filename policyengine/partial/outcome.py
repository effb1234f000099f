"""The three outcomes of a condition as formulas: when it is true, when it is false, when it has a value at all.

A condition that errs is neither true nor false, so "false" is not "not true". `and` and `or` stop at the first item
that decides, so what comes after it may err without harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policyengine.ir.nodes import Expr
from policyengine.partial.asking import Asking
from policyengine.partial.formula import FALSE, TRUE, Formula, Opaque
from policyengine.partial.logic import conj, disj
from policyengine.partial.reading import Known, Reading


@dataclass(frozen=True, slots=True)
class Outcome:
    """When a condition is true, when it is false, and when it is either."""

    true: Formula
    false: Formula
    defined: Formula


ALWAYS = Outcome(TRUE, FALSE, TRUE)
NEVER = Outcome(FALSE, TRUE, TRUE)
ERRS = Outcome(FALSE, FALSE, FALSE)


def settled(found: Reading) -> Outcome:
    """The outcome of a condition whose value is known, or is known to be none."""
    if not isinstance(found, Known):
        return ERRS
    return ALWAYS if found.value else NEVER


def opaque(expr: Expr, asking: Asking) -> Outcome:
    true, false, defined = (Opaque(expr, wanted, asking.env) for wanted in (True, False, None))
    return Outcome(true, false, defined)


def negation(of: Outcome) -> Outcome:
    return Outcome(of.false, of.true, of.defined)


def both(outcomes: Sequence[Outcome]) -> Outcome:
    """`and`: from left to right, up to the first that is false."""
    whole = ALWAYS
    for item in reversed(outcomes):
        whole = Outcome(
            conj(item.true, whole.true),
            disj(item.false, conj(item.defined, whole.false)),
            disj(item.false, conj(item.defined, whole.defined)),
        )
    return whole


def either(outcomes: Sequence[Outcome]) -> Outcome:
    """`or`: from left to right, up to the first that is true."""
    return negation(both([negation(item) for item in outcomes]))
