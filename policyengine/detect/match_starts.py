"""Where a match may still begin in a text that goes on. This lets a stream release ordinary prose as it comes."""

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
    """For finders whose matches, and everything after the beginning that decides about them, contain no blank: the
    beginning of the last word."""
    if text[-1:] in _BLANKS:
        return len(text)
    return max(start, text.rfind(" ") + 1, text.rfind("\n") + 1, text.rfind("\t") + 1, text.rfind("\r") + 1)


def nowhere(text: str, start: int) -> int:
    """For finders that find nothing."""
    return len(text)


@lru_cache(maxsize=256)
def by_width(width: int) -> Begins:
    """For finders of which only the width is known: a match is settled once as much text as its width follows it."""

    def begins(text: str, start: int) -> int:
        return max(start, len(text) - 2 * width)

    return begins


def ending(tail: re.Pattern[bytes], width: int) -> Begins:
    """For finders whose matches, with what decides about them, are no longer than `width`. `tail` matches the beginning
    of a match that goes on to the end of the text; the result is where the first of these begins."""

    def begins(text: str, start: int) -> int:
        low = max(start, len(text) - width)
        begun = tail.search(shadow(text[low:]))
        return len(text) if begun is None else low + begun.start()

    return begins


_FIRST = 4


class Heads(Generic[T]):
    """The beginnings of the words to find, to tell which of them the end of a text may belong to."""

    __slots__ = ("_firsts", "_longest", "_shortest", "_words")

    def __init__(self, words: Iterable[T]) -> None:
        self._words: list[T] = sorted(set(words))
        self._longest = max(map(len, self._words), default=0)
        # Most ends of texts begin no word, and the first characters of the words show that.
        firsts = sorted({word[:_FIRST] for word in self._words if len(word) >= _FIRST})
        some: Any = firsts
        automaton = AhoCorasick if some and type(some[0]) is str else BytesAhoCorasick
        self._firsts: Any = automaton(some).find_matches_as_indexes if some else None
        self._shortest: frozenset[T] = frozenset(word[:size] for word in self._words for size in range(1, _FIRST))

    def at_the_end(self, data: T) -> int:
        """The length of the longest end of the text that one of the words begins with."""
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
