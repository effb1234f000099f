"""A text, and what finders read of it, each made once: most finders begin with the same cheap passes over the whole.

A View is of one call, and is kept by nobody. What it has is a function of the text alone.
"""

from __future__ import annotations

from functools import cached_property

from policyengine.detect.shadow import shadow
from policyengine.detect.skeleton import Skeleton

_DIGITS = b"0123456789"
_OTHERS = bytes(c for c in range(256) if c not in _DIGITS)


class View:
    """`text` itself; `shadow`, one byte a character; `lower`, that in lower case; `skeleton`, what is left of it
    without what stands between its letters and digits; `digits`, how many digits there are."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def shadow(self) -> bytes:
        return shadow(self.text)

    @cached_property
    def lower(self) -> bytes:
        return self.shadow.lower()

    @cached_property
    def skeleton(self) -> Skeleton:
        return Skeleton(self.shadow, self.lower)

    @cached_property
    def digits(self) -> int:
        return len(self.shadow.translate(None, _OTHERS))
