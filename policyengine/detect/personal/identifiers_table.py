"""National identifiers: the format of each, the module for its check digits, and the words used for it.

The rows of `identifiers.csv`. Facts: the pages of python-stdnum, one for each module (`https://arthurdejong.org/python-stdnum/doc/2.2/stdnum.us.ssn`),
which name their own sources; for those without a module, the row names the source.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policyengine.detect.tables import table_rows

ALWAYS, REGION, CONTEXT = "always", "region", "context"
_STDNUM = "https://arthurdejong.org/python-stdnum/doc/2.2/stdnum."


@dataclass(frozen=True, slots=True)
class Identifier:
    """`without` says whether an identifier counts without a word next to it: always, in its region, or never. `module`
    is one of stdnum; a name that starts with a dot is a function of `identifiers.py`."""

    kind: str
    pattern: str
    module: str
    without: str
    words: tuple[str, ...]
    source: str

    @property
    def region(self) -> str:
        return self.kind.partition(".")[2][:2].upper()

    @property
    def where(self) -> str:
        return self.source or _STDNUM + self.module


IDENTIFIERS = tuple(
    Identifier(f"national_id.{kind}", pattern, module, without, tuple(words.split("; ")) if words else (), source)
    for kind, pattern, module, without, words, source in table_rows(Path(__file__).with_name("identifiers.csv"))
)
