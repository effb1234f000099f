"""Where a match may still begin in a text that goes on: what lets a stream of ordinary prose go as it comes."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Generic, TypeVar

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick

from policyengine.detect.finder import Begins
from policyengine.detect.shadow import shadow

T = TypeVar("T", str, bytes)
_BLANKS = frozenset(" \n\t\r")


def last_word(text: str, start: int) -> int:
    """Of finders whose matches, with all that decides about them behind their beginning, have no blank in them: the
    beginning of the last word."""
    if text[-1:] in _BLANKS:
        return len(text)
    return max(start, text.rfind(" ") + 1, text.rfind("\n") + 1, text.rfind("\t") + 1, text.rfind("\r") + 1)


def nowhere(text: str, start: int) -> int:
    """Of finders that find nothing."""
    return len(text)


@lru_cache(maxsize=256)
def by_width(width: int) -> Begins:
    """Of finders of which no more is known than their width: all that a match has within that of its beginning is
    there, and as much behind it."""

    def begins(text: str, start: int) -> int:
        return max(start, len(text) - 2 * width)

    return begins


def ending(tail: re.Pattern[bytes], width: int) -> Begins:
    """Of finders whose matches are no longer than `width`, with what decides about them: where what the expression
    says, which is a beginning of a match and goes on to the end of the text, begins first."""

    def begins(text: str, start: int) -> int:
        low = max(start, len(text) - width)
        begun = tail.search(shadow(text[low:]))
        return len(text) if begun is None else low + begun.start()

    return begins


_FIRST = 4


class Heads(Generic[T]):
    """The beginnings of words that are looked for, so that it is known which of them a text may end within."""

    __slots__ = ("_firsts", "_longest", "_shortest", "_words")

    def __init__(self, words: Iterable[T]) -> None:
        self._words: list[T] = sorted(set(words))
        self._longest = max(map(len, self._words), default=0)
        # Most ends begin no word, and their first characters say so.
        firsts = sorted({word[:_FIRST] for word in self._words if len(word) >= _FIRST})
        some: Any = firsts
        automaton = AhoCorasick if some and type(some[0]) is str else BytesAhoCorasick
        self._firsts: Any = automaton(some).find_matches_as_indexes if some else None
        self._shortest: frozenset[T] = frozenset(word[:size] for word in self._words for size in range(1, _FIRST))

    def at_the_end(self, data: T) -> int:
        """How long the longest end of the text is that one of the words begins with."""
        end, words = len(data), self._words
        if self._firsts is not None:
            last = data[max(0, end - self._longest) :]
            for _, at, _ in self._firsts(last, overlapping=True):
                tail = last[at:]
                place = bisect_left(words, tail)
                if place < len(words) and words[place].startswith(tail):
                    return len(tail)
        for size in range(min(_FIRST - 1, end), 0, -1):
            if data[end - size :] in self._shortest:
                return size
        return 0
