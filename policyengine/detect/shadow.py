"""A text as one byte for each code point, so that places in the bytes are places in the text.

ASCII stays as it is; every other character becomes `?`. Finders of ASCII patterns read this: libraries read bytes
several times faster than text. Every step is bounded by the length of the text.
"""

from __future__ import annotations

WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
TOKEN = WORD | frozenset(b"_-")


def shadow(text: str) -> bytes:
    return text.encode("ascii", "replace")


class Runs:
    """How far the run of some bytes reaches from a place. Places may come in any order. As long as they ascend, each
    byte is read a bounded number of times, because known runs are kept."""

    __slots__ = ("_begin", "_data", "_end", "_run")

    def __init__(self, data: bytes, alphabet: frozenset[int]) -> None:
        self._data = data
        self._run = alphabet
        self._begin = self._end = 0

    def end(self, at: int) -> int:
        """The first place from `at` on whose byte does not belong to the run."""
        if self._begin <= at < self._end:
            return self._end
        data, run, end = self._data, self._run, at
        while end < len(data) and data[end] in run:
            end += 1
        self._begin, self._end = at, end
        return end
