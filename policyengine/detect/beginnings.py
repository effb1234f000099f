"""Where a match may still begin in a text that goes on: what lets a stream of ordinary prose go as it comes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Generic, TypeVar

from policyengine.detect.finder import Begins
from policyengine.detect.shadow import shadow

T = TypeVar("T", str, bytes)


def last_word(text: str, start: int) -> int:
    """Of finders whose matches, with all that decides about them behind their beginning, have no blank in them: the
    beginning of the last word."""
    return max(start, text.rfind(" ") + 1, text.rfind("\n") + 1, text.rfind("\t") + 1, text.rfind("\r") + 1)


def nowhere(text: str, start: int) -> int:
    """Of finders that find nothing."""
    return len(text)


def ending(tail: re.Pattern[bytes], width: int) -> Begins:
    """Of finders whose matches are no longer than `width`, with what decides about them: where what the expression
    says, which is a beginning of a match and goes on to the end of the text, begins first."""

    def begins(text: str, start: int) -> int:
        low = max(start, len(text) - width)
        found = tail.search(shadow(text[low:]))
        return len(text) if found is None else low + found.start()

    return begins


class Heads(Generic[T]):
    """The beginnings of words that are looked for, so that it is known which of them a text may end within."""

    __slots__ = ("_heads", "_longest")

    def __init__(self, words: Iterable[T]) -> None:
        self._heads: frozenset[T] = frozenset(word[:size] for word in words for size in range(1, len(word) + 1))
        self._longest = max(map(len, self._heads), default=0)

    def at_the_end(self, data: T) -> int:
        """How long the longest end of the text is that one of the words begins with."""
        for size in range(min(self._longest, len(data)), 0, -1):
            if data[len(data) - size :] in self._heads:
                return size
        return 0
