"""Limits how many elements the quantifiers of one condition visit: counted from the sizes of collections, in advance.

One quantifier visits as many elements as a request holds. Nested quantifiers multiply, so these are bounded.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.values import Fault

# For example, each of 256 elements with each of 256.
MAX_LOOKS = 65_536


def looks(around: int, elements: Collection[Any], nested: bool) -> int:
    """The visits of a quantifier over these elements, within others that make `around` visits. Raises Fault for too
    many."""
    count = around * len(elements)
    if nested and count > MAX_LOOKS:
        raise Fault(codes.TOO_MUCH_WORK.id, f"quantifiers in each other look at more than {MAX_LOOKS:,} elements")
    return count


def look_through(around: int, value: Any, flat: bool) -> None:
    """The same, for the collection that an operator within quantifiers visits. Unless it is `flat`, its elements may
    have elements of their own, as JSON may."""
    if flat:
        looks(around, value, True)
        return
    count, left = 0, [value]
    while left:
        each = left.pop()
        if type(each) in (list, tuple, set, frozenset, dict):
            count += len(each)
            left += each.values() if type(each) is dict else each
            looks(around, range(count), True)
