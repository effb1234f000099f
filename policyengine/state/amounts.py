"""Numbers of a request as integers that add up exactly: millionths of what the policy counts.

Anything finer than a millionth is rounded to the safe side: amounts up, ceilings down.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import isfinite
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.values import Fault

MICRO = 1_000_000
# Sums of such amounts stay exact in every store: Redis computes in Lua with doubles.
LARGEST = 2**52
# Below this, a number with six decimal places has at most fifteen digits, and converts to a double and back exactly.
EXACT = 1e9


def amount(value: Any) -> int:
    """The charge for a value, in millionths. Raises Fault if it is not a number, is negative or too large."""
    return _millionths(value, ROUND_CEILING, "an amount")


def ceiling(value: Any) -> int:
    """The ceiling, in millionths. Raises Fault as `amount` does; a ceiling that is too large to count becomes the
    largest."""
    return min(_millionths(value, ROUND_FLOOR, "a ceiling", LARGEST), LARGEST)


def number(millionths: int) -> float:
    """The number that people read."""
    return millionths / MICRO


def _millionths(value: Any, rounding: str, what: str, cap: int | None = None) -> int:
    if value.__class__ is int:
        millionths = value * MICRO
    elif value.__class__ is float and isfinite(value):
        # Nearly all amounts have at most six decimal places, and then this is exact.
        if 0.0 <= value < EXACT and (near := round(value * MICRO)) / MICRO == value:
            return near
        # The decimal text counts, not the stored value: 0.1 is a tenth.
        millionths = int((Decimal(repr(value)) * MICRO).to_integral_value(rounding))
    else:
        raise Fault(codes.WRONG_VALUE.id, f"{what} must be a number")
    if millionths < 0:
        raise Fault(codes.WRONG_VALUE.id, f"{what} must not be negative")
    if millionths > LARGEST and cap is None:
        raise Fault(codes.OVERFLOW.id, f"{what} is too large to be metered")
    return millionths
