"""A text, and what finders read of it, each made once: most finders begin with the same cheap passes over the whole.

A View is of one call, and is kept by nobody. What it has is a function of the text alone.
"""

from __future__ import annotations

from policyengine.detect.shadow import shadow
from policyengine.detect.text_skeleton import TextSkeleton

_DIGITS = b"0123456789"
_OTHERS = bytes(c for c in range(256) if c not in _DIGITS)


class View:
    """`text` itself; `shadow`, one byte a character; `lower`, that in lower case; `skeleton`, what is left of it
    without what stands between its letters and digits; `digits`, how many digits there are."""

    __slots__ = ("_digits", "_lower", "_skeleton", "shadow", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.shadow = shadow(text)
        # `cached_property` takes a lock for each: on a short text that is more than the work.
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
