"""A text, and what finders derive from it, each made once: most finders begin with the same cheap passes over the text.

A View belongs to one call, and is not kept. Its contents depend on the text alone.
"""

from __future__ import annotations

from policyengine.detect.shadow import shadow
from policyengine.detect.text_skeleton import TextSkeleton

_DIGITS = b"0123456789"
_OTHERS = bytes(c for c in range(256) if c not in _DIGITS)


class View:
    """`text` itself; `shadow`, one byte per character; `lower`, the shadow in lower case; `skeleton`, only its letters
    and digits; `digits`, the number of digits."""

    __slots__ = ("_digits", "_lower", "_skeleton", "shadow", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.shadow = shadow(text)
        # `cached_property` takes a lock for each: for a short text that costs more than the work.
        self._lower: bytes | None = None
        self._skeleton: TextSkeleton | None = None
        self._digits = -1

    @property
    def lower(self) -> bytes:
        if self._lower is None:
            self._lower = self.shadow.lower()
        return self._lower

    @property
    def skeleton(self) -> TextSkeleton:
        if self._skeleton is None:
            self._skeleton = TextSkeleton(self.shadow)
        return self._skeleton

    @property
    def digits(self) -> int:
        if self._digits < 0:
            self._digits = len(self.shadow.translate(None, _OTHERS))
        return self._digits
