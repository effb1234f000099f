"""A slice of work (`policyengine/slices.py`) that holds up nobody."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from policyengine.compile.making import ONLY_MADE

T = TypeVar("T")


def sliced(slices: Generator[None, None, T]) -> T | None:
    """What comes of it, if this slice is the last. Makes no code that takes long to make."""
    try:
        with ONLY_MADE:
            next(slices)
    except StopIteration as done:
        result: T = done.value
        return result
    return None
