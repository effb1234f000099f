"""Whether a text is composed only of trusted words.

In: the words of the user, the host and trusted fields. Out: for a text that no source gave as a whole, whether each of
its words is trusted. A title such as "Dinner at New Asiaway" is composed of the user's "Dinner at" and the name of a
restaurant; a mail that says more is not. Identifiers (an address, an id, a number) must appear exactly. A few words of
one character and small ordinals need no source: "I've seen it", "the 2-th".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from policyengine.gate.dates import any_year
from policyengine.gate.normal_form import identifies, number

COMPOSED = "composed"
_WORD = re.compile(r"[^\W_]+")
_COUNTED = re.compile(r"\d{1,2}(?:-?(?:st|nd|rd|th))?\Z", re.ASCII)
# One word in this many may lack a source.
_FEW = 4


class TrustedWords:
    """The trusted words."""

    def __init__(self) -> None:
        self._words: set[str] = set()
        self._names: set[str] = set()

    def add(self, text: str, names: list[str], sent: Iterable[str] = ()) -> None:
        """Adds a text and its names, in normal form. `sent` are texts of the model or of strangers that a call sent out
        to get this text: their words do not become trusted because they come back."""
        apart = {word for one in sent for word in _WORD.findall(one)}
        self._words.update(word for word in _WORD.findall(text) if word not in apart)
        self._names.update(name for name in names if identifies(name) and apart.isdisjoint(_WORD.findall(name)))

    def compose(self, text: str, names: list[str]) -> bool:
        """Whether the text is composed of trusted words. Text and names are in normal form."""
        count = loose = 0
        for word in _WORD.finditer(text):
            count += 1
            if word[0] in self._words:
                continue
            # Most texts fail here.
            if len(word[0]) > 1 and not _COUNTED.match(word[0]):
                return False
            loose += 1
        few = count > 1 and loose * _FEW <= count
        return few and all(self._stands(name) for name in names if identifies(name))

    def _stands(self, name: str) -> bool:
        spelled = (name, number(name), any_year(name))
        return any(one in self._names for one in spelled) or _COUNTED.match(name) is not None
