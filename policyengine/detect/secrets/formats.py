"""The format of a token: a literal that every such token has, and what is around it.

The formats are the rows of `formats.csv`: clouds and databases first, then code hosts and model providers, then other
services. A pattern is a regular expression over bytes, in which `%` and a letter stand for a class (`CLASSES`). Every
repetition is bounded, so a match takes a constant number of steps.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from policyengine.detect.tables import table_rows

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
GITLEAKS = "https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml"
_EXACT = {"exact": True, "": False}
LONGEST = 384
"""What a match may count, its surroundings excluded. A run that goes on is covered to its end."""


@dataclass(frozen=True, slots=True)
class Format:
    """`before` and `after` are patterns around the literal. A weak literal, which is only letters and digits, counts
    only at the edge of a word. `check` names a function of `checks.py`."""

    kind: str
    literal: str
    after: str
    before: str
    check: str
    exact: bool
    entropy: float
    source: str

    @property
    def weak(self) -> bool:
        return self.exact or self.literal.isalnum()


def written(pattern: str) -> bytes:
    """The regular expression of a pattern."""
    return re.sub(r"%([A-Za-z])", lambda m: CLASSES[m[1]], pattern).encode("ascii")


FORMATS = tuple(
    Format(f"secret.{kind}", literal, after, before, check, _EXACT[exact], float(entropy or 2.3), source or GITLEAKS)
    for kind, literal, after, before, check, exact, entropy, source in table_rows(
        Path(__file__).with_name("formats.csv")
    )
)
