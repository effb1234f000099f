"""Dates of birth: a date right after words such as "born on".

The words are those of forms in each language, because the Unicode CLDR has none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.detect.finder import DIGITS, FAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.shadow import WORD, shadow
from policyengine.detect.view import View

NAME = "date_of_birth"
_GAP = 32
_REACH = _GAP + 28
_LONGEST_WORD = 24
WIDTH = _GAP + 64

_WORDS = {
    "en": (
        "born",
        "dob",
        "d.o.b",
        "date of birth",
        "birthday",
        "birthdate",
        "birth date",
        "date_of_birth",
        "birth_date",
    ),
    "de": ("geboren", "geburtsdatum", "geb."),
    "fr": ("n? le", "n?e le", "date de naissance"),
    "es": ("nacido", "nacida", "fecha de nacimiento"),
    "it": ("nato il", "nata il", "data di nascita"),
    "nl": ("geboren", "geboortedatum"),
    "pt": ("data de nascimento",),
}
LANGUAGES = frozenset(_WORDS)


@lru_cache(maxsize=16)
def _words_of(languages: frozenset[str]) -> BytesAhoCorasick:
    words = sorted({word.encode("ascii") for language in languages for word in _WORDS[language]})
    return BytesAhoCorasick(words, implementation=Implementation.DFA)


_MONTH = (
    rb"(?:jan(?:uary|uar|vier)?|feb(?:ruary|ruar)?|f\?v(?:rier)?|mar(?:ch|s|zo)?|m\?rz|apr(?:il)?|avr(?:il)?|may|mai|june?|juin|juni|"
    rb"july?|juil(?:let)?|juli|aug(?:ust)?|ao\?t|sept?(?:ember|embre)?|o[ck]t(?:ober|obre)?|nov(?:ember|embre)?|d[e\?][czc](?:ember|embre)?)\.?"
)
_DATE = re.compile(
    rb"(?i)(?<!\d)(?:(?:19|20)\d{2}[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:[12]\d|3[01]|0?[1-9])"
    rb"|(?:[12]\d|3[01]|0?[1-9])[-./ ](?:[12]\d|3[01]|0?[1-9])[-./ ](?:(?:19|20)\d{2}|\d{2})"
    rb"|(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th|\.)?[ -](?:de |of )?" + _MONTH + rb",?[ -](?:de )?(?:(?:19|20)\d{2})"
    rb"|" + _MONTH + rb" (?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?,? (?:19|20)\d{2})(?!\d)"
)


def finder(languages: frozenset[str] = LANGUAGES) -> Finder:
    """Finds dates next to the words of these languages."""
    words = _words_of(languages & LANGUAGES)
    return viewing(
        NAME,
        frozenset({"date_of_birth"}),
        WIDTH,
        lambda view: find(view, words),
        lambda text, start: begins(text, start, words),
        reach=FAR,
        holds=DIGITS,
    )


def begins(text: str, start: int, words: BytesAhoCorasick) -> int:
    """After the first such word, as long as a date may follow it."""
    low = max(start - _LONGEST_WORD, len(text) - _REACH - _LONGEST_WORD, 0)
    for _, _, end in words.find_matches_as_indexes(shadow(text[low:]).lower(), overlapping=True):
        if low + end + _REACH >= len(text):
            return max(start, low + end)
    return len(text)


def find(view: View, words: BytesAhoCorasick) -> Sequence[Finding]:
    data = view.shadow
    findings: dict[tuple[int, int], Finding] = {}
    for _, start, end in words.find_matches_as_indexes(view.lower, overlapping=True):
        if (start and data[start - 1] in WORD) or (end < len(data) and data[end] in WORD):
            continue
        match = _DATE.search(data, end, end + _REACH)
        if match is not None and match.start() - end <= _GAP and data.find(b". ", end, match.start()) < 0:
            findings[match.span()] = Finding("date_of_birth", match.start(), match.end(), 0.85, NAME)
    return list(findings.values())
