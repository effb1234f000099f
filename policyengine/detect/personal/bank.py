"""Bank accounts: IBAN (ISO 13616, check digits by ISO 7064 MOD 97-10) and BIC (ISO 9362) next to a word for it.

Lengths: the IBAN registry, https://www.swift.com/standards/data-standards/iban-international-bank-account-number
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policyengine.detect.finder import DIGITS, FAR, NEAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import SHORT, spans
from policyengine.detect.match_starts import ending, last_word
from policyengine.detect.shadow import WORD
from policyengine.detect.view import View

IBAN, BIC = "iban", "bic"
WIDTH = 64

_LENGTHS = {
    country: length
    for length, countries in {
        15: "NO",
        16: "BE",
        18: "DK FO FI GL NL FK SD",
        19: "MK SI",
        20: "AT BA EE KZ LT LU XK MN",
        21: "HR LV LI CH",
        22: "BH BG CR GE DE IE ME RS GB VA",
        23: "TL IL AE IQ GI OM SO",
        24: "AD CZ MD PK RO SA SK ES SE TN VG",
        25: "PT ST LY",
        26: "IS TR",
        27: "FR GR IT MR MC SM BI DJ",
        28: "AL AZ CY DO GT HU LB PL SV BY NI",
        29: "BR EG PS QA UA",
        30: "JO KW MU YE",
        31: "MT SC",
        32: "LC",
        33: "RU",
    }.items()
    for country in countries.split()
}
_HEAD = rb"\b(?i:[A-Z]{2})[0-9]{2}[ \-]?(?i:[0-9A-Z]{4})"
_SIGNS = rb"[A-Za-z]{2}[0-9]{2}[ \-]?[0-9A-Za-z]{4}"
_CHECK_DIGITS = re.compile(rb"[0-9]{2}(?=[ \-]?[0-9A-Za-z]{4})")
# The number that each letter and digit stands for.
_NUMERALS = [b"%d" % int(chr(c), 36) if c in WORD else b"" for c in range(256)]
_JOINED = WORD | frozenset(b"_")
# The beginning of an IBAN, of any length, at the end of a text.
_OPEN = re.compile(rb"(?<![A-Za-z0-9_])[A-Za-z](?:[A-Za-z](?:[0-9](?:[0-9](?:[ \-]?[A-Za-z0-9]){0,30}[ \-]?)?)?)?\Z")
_SAID = re.compile(
    rb"(?i)\b(?:bic|swift)(?:[ /-]?(?:code|bic|swift))?\b[^\n]{0,12}?"
    rb"\b([A-Z]{4}([A-Z]{2})[A-Z0-9]{2}(?:[A-Z0-9]{3})?)\b"
)
_BIC_WORDS = rb"(?i)\b(?:bic|swift)\b"
_OTHERS = "US CA AU NZ JP CN HK SG IN ZA MX AR CL KR TH MY ID PH VN TW NG KE MA"
_COUNTRIES = frozenset(_LENGTHS) | frozenset(_OTHERS.split())


def finder() -> Finder:
    return viewing(
        IBAN,
        frozenset({"iban"}),
        WIDTH,
        find_iban,
        ending(_OPEN, 2 * WIDTH),
        reach=NEAR,
        holds=DIGITS,
        opens=DIGITS,
        signs=(_SIGNS,),
    )


def bic_finder() -> Finder:
    return viewing(BIC, frozenset({"bic"}), WIDTH, find_bic, last_word, reach=FAR, holds="[A-Z]", signs=(_BIC_WORDS,))


def find_iban(view: View) -> Sequence[Finding]:
    data = view.shadow
    if len(data) >= SHORT and view.digits < 2:
        return []
    findings = []
    for start in _heads(data):
        length = _LENGTHS.get(data[start : start + 2].upper().decode())
        if length is not None:
            end = _end(data, start, length)
            if end and _mod97(data[start:end]):
                findings.append(Finding("iban", start, end, 0.98, IBAN))
    return findings


def _heads(data: bytes) -> Iterator[int]:
    if len(data) >= SHORT:
        yield from (start for start, _ in spans(_HEAD, data))
        return
    # A short text has fewer digits than beginnings of words, so the digits are searched for.
    for digits in _CHECK_DIGITS.finditer(data):
        start = digits.start() - 2
        if start >= 0 and data[start : start + 2].isalpha() and (not start or data[start - 1] not in _JOINED):
            yield start


def _end(data: bytes, start: int, length: int) -> int:
    """The end of this many letters and digits, not counting single blanks and hyphens between them; 0 if there are
    fewer."""
    at, count = start, 0
    while count < length and at < len(data):
        if data[at] in WORD:
            count += 1
        elif data[at] not in b" -" or data[at - 1] in b" -":
            return 0
        at += 1
    joined = at < len(data) and data[at] in WORD
    return at if count == length and not joined else 0


def _mod97(value: bytes) -> bool:
    plain = value.translate(None, b" -")
    return int(b"".join(map(_NUMERALS.__getitem__, plain[4:] + plain[:4]))) % 97 == 1


def find_bic(view: View) -> Sequence[Finding]:
    data = view.shadow
    if b"bic" not in view.lower and b"swift" not in view.lower:
        return []
    findings = []
    for start, _ in spans(_BIC_WORDS, data):
        match = _SAID.match(data, start, start + WIDTH - 2)
        if match is not None and match[2].upper().decode() in _COUNTRIES and match[1].isupper():
            findings.append(Finding("bic", *match.span(1), 0.85, BIC))
    return findings
