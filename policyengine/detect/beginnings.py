"""Where a match may still begin in a text that goes on: what lets a stream of ordinary prose go as it comes."""

from __future__ import annotations

import re

from policyengine.detect.finder import Begins
from policyengine.detect.shadow import shadow

_DIGITS = re.compile(rb"[0-9(+]")


def last_word(text: str, start: int) -> int:
    """Of finders whose matches, with all that decides about them behind their beginning, have no blank in them: the
    beginning of the last word."""
    return max(start, text.rfind(" ") + 1, text.rfind("\n") + 1, text.rfind("\t") + 1, text.rfind("\r") + 1)


def digits(width: int) -> Begins:
    """Of finders whose matches begin with a digit, a bracket or a plus sign: the first of these within their width. A
    match that began before that is decided about."""

    def begins(text: str, start: int) -> int:
        low = max(start, len(text) - width)
        found = _DIGITS.search(shadow(text[low:]))
        return len(text) if found is None else low + found.start()

    return begins
