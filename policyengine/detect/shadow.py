"""A text as one byte for each code point, so that places in the bytes are places in the text.

ASCII stays as it is; everything else is `?`. Finders of ASCII shapes go over this: libraries read bytes several times
faster than text. Every step is bounded by the length of the text.
"""

from __future__ import annotations

WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
TOKEN = WORD | frozenset(b"_-")


def shadow(text: str) -> bytes:
    return text.encode("ascii", "replace")


class Runs:
    """How far the run of some bytes reaches from a place. Places are asked in any order, and each byte is looked at a
    bounded number of times as long as they ascend: what is known of a run is kept."""

    __slots__ = ("_begin", "_data", "_end", "_run")

    def __init__(self, data: bytes, alphabet: frozenset[int]) -> None:
        self._data = data
        self._run = alphabet
        self._begin = self._end = 0

    def end(self, at: int) -> int:
        """The first place from `at` on whose byte is not of the run."""
        if self._begin <= at < self._end:
            return self._end
        data, run, end = self._data, self._run, at
        while end < len(data) and data[end] in run:
            end += 1
        self._begin, self._end = at, end
        return end
