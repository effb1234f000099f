"""Street addresses that a pattern can find: a number, a name and a word for a street, in several languages.

Sources: USPS Publication 28, appendix C1 (suffixes); Universal Postal Union, addressing systems of each country,
https://www.upu.int/en/postal-solutions/programmes-services/addressing-solutions
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.detect.finder import DIGITS, FAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.match_starts import last_word
from policyengine.detect.outermost import outermost
from policyengine.detect.shadow import shadow
from policyengine.detect.view import View

NAME = "street_address"
_BEFORE, _AFTER = 96, 96
WIDTH = 2 * (_BEFORE + _AFTER)

_WORD = rb"[A-Z][A-Za-z'.?-]{1,24}+"
_TOWN = rb"(?:,? [0-9]{4,5} [A-Z][A-Za-z?-]{1,24})?"
_ENGLISH = (
    *("Street", "St", "Avenue", "Ave", "Road", "Rd", "Boulevard", "Blvd", "Lane", "Ln", "Drive", "Dr", "Court", "Ct"),
    *("Place", "Pl", "Square", "Sq", "Terrace", "Way", "Parkway", "Pkwy", "Highway", "Hwy", "Circle", "Cir"),
    *("Crescent", "Close", "Mews", "Gardens", "Row", "Trail", "Alley"),
)
_JOINED = {
    "de": ("strasse", "stra?e", "str.", "weg", "gasse", "platz", "allee", "ufer", "damm"),
    "nl": ("straat", "laan", "gracht", "plein", "weg"),
    "sv": ("gatan", "v?gen"),
    "da": ("gade", "vej"),
    "no": ("gate", "vei"),
    "fi": ("katu",),
}
_FRENCH = ("rue", "avenue", "boulevard", "place", "chemin", "impasse", "all?e", "quai")
_NAMED = {
    "es": ("Calle", "Avenida", "Avda.", "Plaza", "Paseo"),
    "it": ("Via", "Viale", "Piazza", "Corso"),
    "pt": ("Rua", "Avenida", "Travessa"),
    "pl": ("ul.",),
}
LANGUAGES = frozenset({"en", "fr", *_JOINED, *_NAMED})
"""ISO 639 codes."""

# A literal, with the expressions for what must precede and follow it.
_Around = tuple["re.Pattern[bytes] | None", "re.Pattern[bytes]"]
_NUMBER_NAME = re.compile(
    rb"(?<![\w.,])[0-9]{1,5}[A-Za-z]?,? (?:[NSEW]\.? )?(?:" + _WORD + rb"|[0-9]{1,3}(?:st|nd|rd|th))"
    rb"(?: (?:" + _WORD + rb"|[0-9]{1,3}(?:st|nd|rd|th))){0,2}\Z"
)
_UNIT = re.compile(
    rb"(?![A-Za-z])\.?(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|#)\.? ?[A-Za-z0-9-]{1,6}+)?"
    rb"(?:,? [A-Z][a-z]{2,24}+,? [A-Z]{2} [0-9]{5})?"
)
_NAME_BEFORE = re.compile(rb"(?<![A-Za-z])[A-Z][A-Za-z?.-]{1,28}\Z")
_NUMBER_AFTER = re.compile(rb"[0-9]{1,4}+ ?[a-z]?(?![A-Za-z0-9])" + _TOWN)
_NUMBER_BEFORE = re.compile(rb"(?<![\w.])[0-9]{1,4}(?: ?(?:bis|ter))?,? \Z")
_NAME_AFTER = re.compile(rb"(?:(?:de|du|des|la|le|les) |[ld]'){0,3}" + _WORD + rb"(?: " + _WORD + rb"){0,2}" + _TOWN)
_NAME_NUMBER = re.compile(
    rb" (?:(?:de|del|la|las|los|di|da|do|das|dos) ){0,3}" + _WORD + rb"(?: " + _WORD + rb"){0,2},? [0-9]{1,4}+(?![\w.])"
)
_BOX = re.compile(rb" [0-9]{1,6}+(?!\w)")
_PO = re.compile(rb"(?i)(?<!\w)(?:P\.? ?O\.?|post(?:al)?|psc [0-9]{1,5},) \Z")


@dataclass(frozen=True, slots=True)
class _Tables:
    around: list[_Around]
    words: BytesAhoCorasick


@lru_cache(maxsize=16)
def _tables(languages: frozenset[str]) -> _Tables:
    around: dict[bytes, _Around] = {b"Box": (_PO, _BOX)}
    if "en" in languages:
        around |= {b" " + w.encode(): (_NUMBER_NAME, _UNIT) for w in _ENGLISH}
    if "fr" in languages:
        around |= {w.encode() + b" ": (_NUMBER_BEFORE, _NAME_AFTER) for w in _FRENCH}
    for language in sorted(languages):
        around |= {w.encode() + b" ": (_NAME_BEFORE, _NUMBER_AFTER) for w in _JOINED.get(language, ())}
        around |= {w.encode(): (None, _NAME_NUMBER) for w in _NAMED.get(language, ())}
    return _Tables(list(around.values()), BytesAhoCorasick(list(around), implementation=Implementation.DFA))


def finder(languages: frozenset[str] = LANGUAGES) -> Finder:
    """Finds addresses as these languages write them, and post office boxes."""
    tables = _tables(languages & LANGUAGES)
    return viewing(
        NAME,
        frozenset({"street_address"}),
        WIDTH,
        lambda view: find(view, tables),
        lambda text, start: begins(text, start, tables),
        reach=FAR,
        holds=DIGITS,
        opens=r"[0-9A-Z]|ul\.",
    )


# A number and the names after it, or a post office box, at the end of a text.
_OPEN = re.compile(
    rb"(?<![\w.,])[0-9](?:[0-9A-Za-z?'.,-]| (?! ))*+\Z|"
    rb"(?i:(?<!\w)(?:P(?:\.? ?O?\.? ?)?|post(?:al)? ?|psc ?[0-9]{0,5},? ?)(?:Bo?x?)?\Z)"
)

# Names that a number may follow, at the end of a text.
_PART = rb"[A-Z][A-Za-z'.?-]{0,24}"
_COMING = re.compile(
    rb" ?(?:(?:[a-z]{1,3} |[ld]'){0,3}(?:[a-z]{0,3}|" + _PART + rb"(?: " + _PART + rb"){0,2}(?:,? ?[0-9]{0,4})?))\Z"
)


def begins(text: str, start: int, tables: _Tables) -> int:
    """Where an unfinished address begins, or a number or name that may begin one."""
    low = max(start, len(text) - WIDTH)
    data = shadow(text[low:])
    first = last_word(text, start)
    opening = _OPEN.search(data, max(0, len(data) - 2 * _BEFORE))
    if opening is not None:
        first = min(first, low + opening.start())
    for index, at, end in tables.words.find_matches_as_indexes(data, overlapping=True):
        before, after = tables.around[index]
        if len(data) - end > _AFTER or not (after.match(data, end) or _COMING.match(data, end)):
            continue
        head = before.search(data[max(0, at - _BEFORE) : at]) if before is not None else None
        if before is None or head is not None:
            first = min(first, low + (at if head is None else max(0, at - _BEFORE) + head.start()))
    return max(start, first)


def find(view: View, tables: _Tables) -> Sequence[Finding]:
    data = view.shadow
    findings = []
    for index, start, end in tables.words.find_matches_as_indexes(data, overlapping=True):
        before, after = tables.around[index]
        tail = after.match(data, end, end + _AFTER)
        if tail is None:
            continue
        begin = start
        if before is not None:
            low = max(0, start - _BEFORE)
            head = before.search(data[low:start])
            if head is None:
                continue
            begin = low + head.start()
        findings.append(Finding("street_address", begin, tail.end(), 0.7, NAME))
    return outermost(findings)
