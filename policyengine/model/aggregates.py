"""Results over several elements: a sum, a union, pairs.

Elements and values are as `values.guard` returns them. Every function is total: it returns a value or raises Fault.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.fine_time import length, nanoseconds
from policyengine.model.operators import in_range_of, typed_key
from policyengine.model.types import DURATION, SetT, Type
from policyengine.model.values import Fault

# Every float is a multiple of 1 divided by this.
_FINEST = 2**1074


def summed(elements: Collection[Any], value: Callable[[int, Any], Any], of: Type, type_: Type) -> Any:
    """The sum of a value for each element and its position, in order; `of` is the type of the collection. In a set,
    equal elements count once. Raises Fault if the sum does not fit its type."""
    return total([value(position, element) for position, element in different(elements, of)], type_)


def different(elements: Collection[Any], of: Type) -> Iterator[tuple[int, Any]]:
    """The elements with their positions; for a set, each different element at its first position."""
    if not isinstance(of, SetT):
        yield from enumerate(elements)
        return
    seen: set[Any] = set()
    for position, element in enumerate(elements):
        called = typed_key(element, of.element)
        if called not in seen:
            seen.add(called)
            yield position, element


def total(values: Sequence[Any], type_: Type) -> Any:
    """The sum of numbers or durations, added exactly and rounded once, so that their order does not matter. Zero if
    there are none. Raises Fault if the sum does not fit its type."""
    try:
        if type_ == DURATION:
            return length(sum(map(nanoseconds, values)))
        if all(type(value) is int for value in values):
            return in_range_of(sum(values), type_)
        parts = 0
        for value in values:
            numerator, denominator = value.as_integer_ratio()
            parts += numerator * (_FINEST // denominator)
        return in_range_of(parts / _FINEST, type_)
    except OverflowError:
        raise Fault(codes.OVERFLOW.id, "a result is out of range") from None


def union(left: Collection[Any], right: Collection[Any]) -> tuple[Any, ...]:
    """The elements of either or both."""
    return (*left, *right)


def pairs(left: Sequence[Any], right: Sequence[Any]) -> tuple[dict[str, Any], ...]:
    """The elements at the same position in two lists. Raises Fault for lists of different lengths."""
    if len(left) != len(right):
        raise Fault(codes.UNEQUAL_LENGTHS.id, "the two lists have different lengths")
    return tuple({"first": one, "second": other} for one, other in zip(left, right, strict=True))
