"""What a store can hold of the constants of a condition, and how far it can compare them."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, nextafter
from typing import Any

from policyengine.model.values import INT_MAX, INT_MIN
from policyengine.partial.formula import Operator

# Below this every integer is a double, and no integer from here on becomes a smaller double.
DOUBLE_LIMIT = 2**53


def is_text(value: Any) -> bool:
    """Whether it is text that UTF-8 can hold: no lone surrogate."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(value: Any) -> bool:
    """Whether it is text that every store can hold: no lone surrogate, no NUL."""
    return is_text(value) and "\0" not in value


def i64(value: Any) -> bool:
    """Whether it is an integer of 64 bits."""
    return value.__class__ is int and INT_MIN <= value <= INT_MAX


def safe_double(value: Any) -> bool:
    """Whether it is a number, and comparing it as a double with an integer or a double is comparing it exactly."""
    return value.__class__ in (int, float) and -DOUBLE_LIMIT < value < DOUBLE_LIMIT


@dataclass(frozen=True, slots=True)
class Bound:
    """Limits of a range, by the names `lt`, `lte`, `gt`, `gte`."""

    limits: dict[str, int | float]
    exact: bool


def bound(op: Operator, value: Any, whole: bool) -> Bound | None:
    """The range of what stands in the relation to the value, for a store that compares doubles: wider where that is not
    exact. With `whole` the values are integers, and so are the limits, as an index of integers cuts fractions off."""
    if value.__class__ not in (int, float) or not (isfinite(value) if value.__class__ is float else i64(value)):
        return None
    if not safe_double(value):
        low, high = nextafter(float(value), -inf), nextafter(float(value), inf)
        if not isfinite(low) or not isfinite(high):
            return None
        wide = {"<": {"lte": high}, "<=": {"lte": high}, ">": {"gte": low}, ">=": {"gte": low}}
        return Bound(wide.get(op, {"gte": low, "lte": high}), exact=False)
    if whole and value.__class__ is float:
        if op == "==" and not value.is_integer():
            return None
        if op in ("<", ">="):
            value = ceil(value)
        elif op in ("<=", ">"):
            value = floor(value)
    names = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
    if op in names:
        return Bound({names[op]: value}, exact=True)
    return Bound({"gte": value, "lte": value}, exact=True) if op == "==" else None
