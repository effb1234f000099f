"""The texts that a store can hold, among those that a condition compares with."""

from __future__ import annotations

from typing import Any


def is_text(value: Any) -> bool:
    """Whether it is a text that UTF-8 can hold: no lone surrogate."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def storable(value: Any) -> bool:
    """Whether it is a text that every store can hold: no lone surrogate, no NUL."""
    return is_text(value) and "\0" not in value
