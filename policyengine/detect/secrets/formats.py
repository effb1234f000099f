"""What the format of a token is: a literal that every such token has, and what stands around it.

A pattern is a regular expression over bytes, in which `%` and a letter stand for a class (`CLASSES`). Every repetition
is bounded, so a match is read in a constant number of steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CLASSES = {
    "A": "[A-Za-z0-9]",
    "a": "[a-z0-9]",
    "U": "[A-Z0-9]",
    "L": "[A-Za-z]",
    "d": "[0-9]",
    "h": "[0-9a-f]",
    "H": "[0-9a-fA-F]",
    "w": "[A-Za-z0-9_-]",
    "b": "[A-Za-z0-9+/]",
    "u": "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
}
LONGEST = 384
"""What a match may count, its surroundings excluded. A run that goes on is covered to its end."""


@dataclass(frozen=True, slots=True)
class Format:
    """`before` and `after` are patterns around the literal. A weak literal, which is nothing but letters and digits,
    counts only at the edge of a word. `check` names a function of `checks.py`."""

    kind: str
    literal: str
    after: str
    source: str
    before: str = ""
    check: str = ""
    exact: bool = False
    entropy: float = 2.3

    @property
    def weak(self) -> bool:
        return self.exact or self.literal.isalnum()


def written(pattern: str) -> bytes:
    """The regular expression of a pattern."""
    return re.sub(r"%([A-Za-z])", lambda m: CLASSES[m[1]], pattern).encode("ascii")
