"""Characters that make a policy read differently from what it says.

Sources: Unicode TR 36 and TR 39 (mixed scripts, invisible characters), CVE-2021-42574 (bidirectional controls).
"""

from __future__ import annotations

import re
import unicodedata

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.safe_text import FILLERS
from policyengine.diagnostics.source import Source

BLANK_BRAILLE = "\u2800"
# Characters that editors do not show, show as the end of a line where there is none, or reorder with their neighbours.
_INVISIBLE = re.compile(
    f"[{''.join(FILLERS - {BLANK_BRAILLE})}"
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064"
    "\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]|\r(?!\n)"
)
_WORD = re.compile(r"[^\W\d_]+")
# Alphabets whose letters are easily taken for Latin ones, and the languages that mix scripts legitimately.
_LOOKALIKE = {"CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "FULLWIDTH", "MATHEMATICAL"}


def suspicious_characters(source: Source) -> list[Diagnostic]:
    """Warnings about invisible characters, and words that mix look-alike alphabets, anywhere in the text."""
    diagnostics = []
    for match in _INVISIBLE.finditer(source.text):
        code, name = ord(match[0]), unicodedata.name(match[0], "control character").lower()
        diagnostics.append(
            Diagnostic(
                codes.INVISIBLE_CHARACTER,
                source.span(match.start(), match.end()),
                f"invisible character U+{code:04X} ({name})",
                "",
                f"remove it, or write it as the escape `\\u{{{code:x}}}`",
            )
        )
    if source.text.isascii():
        return diagnostics
    for match in _WORD.finditer(source.text):
        if match[0].isascii():
            continue
        scripts = {unicodedata.name(char, "?").split()[0] for char in match[0]}
        alone = len(scripts) == 1 and scripts & _LOOKALIKE and _looks_latin(match[0])
        if (len(scripts) > 1 and scripts & _LOOKALIKE) or alone:
            letters = ", ".join(sorted(s.capitalize() for s in scripts))
            diagnostics.append(
                Diagnostic(
                    codes.CONFUSABLE_CHARACTER,
                    source.span(match.start(), match.end()),
                    f"`{match[0]}` has letters that look like others",
                    f"letters of: {letters}",
                    "write it in one alphabet, or as escapes such as \\u0430",
                )
            )
    return diagnostics


# Cyrillic and Greek letters that look like Latin ones (from the confusables table of Unicode TR 39).
_DOUBLES = set("аеорсухіјѕԁһԛԝАВЕКМНОРСТХІЈЅοαρνΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")


def _looks_latin(word: str) -> bool:
    return all(char in _DOUBLES for char in word)
