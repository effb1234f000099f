"""The RFC 8785 form of JSON.

For most values, this form and the form that Python writes in C are the same. The library writes the rest: names that
are not ASCII, whose order could differ, and numbers that are not small integers.
"""

from __future__ import annotations

import json
import re
from typing import Any

import rfc8785

# A number with a fraction, an exponent or sixteen digits, or text that looks like one.
_OTHER_NUMBER = re.compile(r"[:,\[]-?(?:[0-9]{16}|[0-9]+[.eE])")
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))


def canonical(value: dict[str, Any]) -> bytes:
    """The RFC 8785 form. Raises ValueError and RecursionError for a value without one."""
    try:
        text = _WRITER.encode(value)
    except (TypeError, ValueError):
        return rfc8785.dumps(value)
    if text.isascii() and _OTHER_NUMBER.search(text) is None:
        return text.encode()
    return rfc8785.dumps(value)
