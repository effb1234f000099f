"""Comparing with a number that a store's type may not be able to hold, without losing any of it.

Policies compare numbers by exact value. A store that rounds the constant to its own type would not.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any

from policyengine.model.values import INT_MAX, INT_MIN
from policyengine.partial.formula import Operator

Number = int | float | Fraction


def is_number(value: Any) -> bool:
    """Whether a constant is a number that can be compared: no boolean, nothing infinite."""
    return value.__class__ is int or (value.__class__ is float and isfinite(value))


def of_integer(op: Operator, value: Number, low: int = INT_MIN, high: int = INT_MAX) -> tuple[Operator, int] | bool:
    """How an integer between `low` and `high` stands to a number, said with an integer between the two; or whether
    every such integer does (True) or none (False)."""
    exact = Fraction(value)
    if op in ("==", "!="):
        if exact.denominator != 1 or not low <= exact <= high:
            return op == "!="
        return op, int(exact)
    bound = ceil(exact) if op in ("<", ">=") else floor(exact)
    if not low <= bound <= high:
        return (op in ("<", "<=")) is (bound > high)
    return op, bound


def of_double(op: Operator, value: Number) -> tuple[Operator, float] | bool:
    """How a finite double stands to a number, said with a finite double; or whether every one does, or none."""
    exact = Fraction(value)
    try:
        near = float(value)
    except OverflowError:
        return op == "!=" or (op in ("<", "<=")) is (exact > 0) if op != "==" else False
    if exact == Fraction(near):
        return op, near
    if op in ("==", "!="):
        return op == "!="
    # No double lies between the two.
    if Fraction(near) < exact:
        return ("<=" if op in ("<", "<=") else ">"), near
    return ("<" if op in ("<", "<=") else ">="), near
