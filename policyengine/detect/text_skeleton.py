"""A text without the characters between its letters and digits, and the way back.

The skeleton keeps ASCII letters and digits, in lower case, and nothing else. A phrase that is spaced, hyphenated, set
in capitals, or cut by invisible characters has the same skeleton.
"""

from __future__ import annotations

from itertools import compress

from policyengine.detect.shadow import WORD

_BETWEEN = bytes(c for c in range(256) if c not in WORD)
_LOWER = bytes(range(256)).lower()
_KEPT = bytes(c in WORD for c in range(256))


class TextSkeleton:
    """`data` are the kept characters, `shadow` all of them. Their places are worked out once, on demand."""

    __slots__ = ("_places", "data", "shadow")

    def __init__(self, shadow: bytes) -> None:
        self.shadow = shadow
        self.data = shadow.translate(_LOWER, _BETWEEN)
        self._places: list[int] | None = None

    def back(self, many: int) -> int:
        """Where the last `many` characters begin in the text: for few characters faster than `span`."""
        at, shadow = len(self.shadow), self.shadow
        while many:
            at -= 1
            many -= shadow[at] in WORD
        return at

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The place in the text of the characters from `start` up to `end` of the skeleton."""
        if self._places is None:
            kept = self.shadow.translate(_KEPT)
            self._places = list(compress(range(len(kept)), kept))
        return self._places[start], self._places[end - 1] + 1
