"""One cheap pass over a text, for the places that are worth a closer look.

The expression of a locator matches whole runs (of digits and the characters between them, of the letters of an
address). So two matches cannot overlap, and no place depends on the match before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import re2

SHORT = 1024
"""Below this length Python's own expressions are done before RE2 has begun. Above, RE2 is several times faster, and
linear whatever the text; these expressions mean the same to both."""


def spans(places: bytes, data: bytes) -> Iterable[tuple[int, int]]:
    """Where an expression over bytes matches; there is one byte for each character."""
    if len(data) < SHORT:
        return map(_span, _short(places).finditer(data))
    return (match.span() for match in _long(places).finditer(data))


_span = re.Match.span


@lru_cache(maxsize=64)
def _short(regex: bytes) -> re.Pattern[bytes]:
    return re.compile(regex, re.DOTALL)


@lru_cache(maxsize=64)
def _long(regex: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.dot_nl = True
    return re2.compile(regex, options)
