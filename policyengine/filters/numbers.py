"""Comparisons with a number that the type of a store may not be able to represent, without losing precision.

Policies compare numbers by exact value. A store that rounds the constant to its own type would not.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, inf, isfinite, nextafter
from typing import Any

from policyengine.model.types import ListT, SetT, Type
from policyengine.model.values import DOUBLE_INTS, INT_MAX, INT_MIN
from policyengine.partial.formula import Operator

Number = int | float | Fraction


def is_number(value: Any) -> bool:
    """Whether a constant is a number that can be compared: not a boolean, and not infinite."""
    return value.__class__ is int or (value.__class__ is float and isfinite(value))


def of_integer(op: Operator, value: Number) -> tuple[Operator, int] | bool:
    """The comparison of a 64-bit integer with a number, as one with a 64-bit integer; or whether every such integer
    meets it (True) or none does (False)."""
    exact = Fraction(value)
    if op in ("==", "!="):
        if exact.denominator != 1 or not INT_MIN <= exact <= INT_MAX:
            return op == "!="
        return op, int(exact)
    bound = ceil(exact) if op in ("<", ">=") else floor(exact)
    if not INT_MIN <= bound <= INT_MAX:
        return (op in ("<", "<=")) is (bound > INT_MAX)
    return op, bound


def by_length(type_: Type, op: Operator, count: Number) -> bool | None:
    """Whether the length of an array, which may hold an element twice, decides how the number of different elements
    compares with the count; None if it does not, or if the count does not fit a store with 32-bit lengths."""
    if count.__class__ is not int or not 0 <= count < 2**31 or not isinstance(type_, SetT | ListT):
        return None
    return isinstance(type_, ListT) or count == 0 or (count == 1 and op in ("<", ">="))


def of_double(op: Operator, value: Number) -> tuple[Operator, float] | bool:
    """The comparison of a finite double with a number, as one with a finite double; or whether every double meets it or
    none."""
    exact = Fraction(value)
    try:
        near = float(value)
    except OverflowError:
        return op == "!=" or (op in ("<", "<=")) is (exact > 0) if op != "==" else False
    if exact == Fraction(near):
        return op, near
    if op in ("==", "!="):
        return op == "!="
    # No double is between the two.
    if Fraction(near) < exact:
        return ("<=" if op in ("<", "<=") else ">"), near
    return ("<" if op in ("<", "<=") else ">="), near


# ---- what stores compare as doubles ----


def i64(value: Any) -> bool:
    """Whether it is a 64-bit integer."""
    return value.__class__ is int and INT_MIN <= value <= INT_MAX


def safe_double(value: Any) -> bool:
    """Whether it is a number that, as a double, compares exactly with integers and doubles."""
    return value.__class__ in (int, float) and -DOUBLE_INTS < value < DOUBLE_INTS


@dataclass(frozen=True, slots=True)
class NumberBound:
    """The limits of a range, under the names `lt`, `lte`, `gt`, `gte`."""

    limits: dict[str, int | float]
    exact: bool


def bound(op: Operator, value: Any, whole: bool) -> NumberBound | None:
    """The range of the values that compare so with `value`, for a store that compares doubles: wider if that is not
    exact. With `whole` the values are integers, and so are the limits, because an integer index cuts fractions off."""
    if value.__class__ not in (int, float) or not (isfinite(value) if value.__class__ is float else i64(value)):
        return None
    if not safe_double(value):
        low, high = nextafter(float(value), -inf), nextafter(float(value), inf)
        if not isfinite(low) or not isfinite(high):
            return None
        wide = {"<": {"lte": high}, "<=": {"lte": high}, ">": {"gte": low}, ">=": {"gte": low}}
        return NumberBound(wide.get(op, {"gte": low, "lte": high}), exact=False)
    if whole and value.__class__ is float:
        if op == "==" and not value.is_integer():
            return None
        if op in ("<", ">="):
            value = ceil(value)
        elif op in ("<=", ">"):
            value = floor(value)
    names = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
    if op in names:
        return NumberBound({names[op]: value}, exact=True)
    return NumberBound({"gte": value, "lte": value}, exact=True) if op == "==" else None
