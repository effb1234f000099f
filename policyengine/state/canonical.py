"""The RFC 8785 form of JSON.

Most of what is asked about has nothing in it that this form and Python's own differ in; that is written in C. Whatever
could differ is left to the library: an order of names that is not ASCII, a number that is not a small integer.
"""

from __future__ import annotations

import json
import re
from typing import Any

import rfc8785

# A number with a fraction, an exponent or sixteen digits, or what looks like one within a text.
_OTHER_NUMBER = re.compile(r"[:,\[]-?(?:[0-9]{16}|[0-9]+[.eE])")
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical(value: dict[str, Any]) -> bytes:
    """Raises ValueError and RecursionError for what has no such form."""
    try:
        text = _WRITER.encode(value)
    except (TypeError, ValueError):
        return rfc8785.dumps(value)
    if text.isascii() and _OTHER_NUMBER.search(text) is None:
        return text.encode()
    return rfc8785.dumps(value)
