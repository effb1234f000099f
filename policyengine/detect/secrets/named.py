"""Values that are a secret because of the name they are assigned to: the name of a provider, and the value's shape.

The rows of `named.csv` are facts from the rules of gitleaks (`config/gitleaks.toml`, one rule per provider), whose
authors took them from the providers' pages: words in the name (if none is given, the first part of the kind), and the
alphabet and length of the value. `%` classes as in `formats.py`; letters match in either case.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from policyengine.detect.secrets.formats import GITLEAKS
from policyengine.detect.tables import table_rows


@dataclass(frozen=True, slots=True)
class Named:
    kind: str
    words: tuple[str, ...]
    pattern: str
    entropy: float
    source: str = GITLEAKS


NAMED = tuple(
    Named(f"secret.{kind}", tuple(words.split()) or (kind.split("_")[0],), pattern, float(entropy or 2.0))
    for kind, pattern, words, entropy in table_rows(Path(__file__).with_name("named.csv"))
)
