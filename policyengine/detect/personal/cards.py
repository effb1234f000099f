"""Numbers of payment cards: the ranges of the issuers, and the check digit of Luhn.

Sources: ISO/IEC 7812-1 (length, check digit); https://en.wikipedia.org/wiki/Payment_card_number (ranges).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policyengine.detect.finder import DIGITS, FAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import SHORT, spans
from policyengine.detect.match_starts import ending
from policyengine.detect.view import View

NAME = "credit_card"
_CONTEXT = 60
WIDTH = _CONTEXT + 40

_PLACES = rb"[0-9](?:[ \-.]?[0-9]){11,}"
_SIGNS = rb"(?:\A|[^A-Za-z0-9_])[0-9](?:[ \-.]?[0-9]){11}"
# The search starts from each group of digits, and the match takes no more than that group: another number may begin at
# the next one. The match begins with a digit, so that Python's expressions test no other place, and the group holds
# what follows that digit.
_NUMBER = re.compile(
    rb"[0-9](?<!\w[0-9])(?<![0-9][.,\-][0-9])(?=("
    rb"\d{11,18}(?=\.0(?!\w|[.,\-]\d))"  # as spreadsheets and data frames print a whole number
    rb"|(?:\d{11,18}"
    rb"|\d{3}([ \-.])\d{4}\2\d{4}\2\d{4}(?:\2\d{1,3})?"  # 16 to 19
    rb"|(?<=3)\d{3}([ \-.])\d{6}\3\d{4,5}"  # American Express, Diners
    rb"|\d{3}([ \-])\d{4}\4\d{4}\4\d{1,3}(?![ \-]?\d)"  # 13 to 15
    rb")(?![\w])(?![.,\-]\d)))[0-9]*"
)
# How many characters after a number decide whether it is one.
_FOLLOWS = 2
# The beginning of a number at the end of a text.
_OPEN = re.compile(rb"[0-9][0-9 .,\-]*\Z")
# Each begins with a letter, including `cc`: if none of these letters is there, Python's expressions search no further.
_WORDS = re.compile(
    rb"card|c(?<=\bc)c\b|visa|master|maestro|amex|american express|diners|discover|jcb|pan\b|karte|carte|tarjeta"
)
_BETWEEN = b" -."
# The value of a digit in every second place, from the last but one on: the digits of its double, added up.
_DOUBLED = bytes((2 * (c - 48) - 9 * (c > 52)) if 48 <= c <= 57 else 0 for c in range(256))

# Prefix range, lengths, and whether the range is so wide that a number without a word for cards proves little.
_RANGES: tuple[tuple[int, int, tuple[int, ...], bool], ...] = (
    (34, 34, (15,), False),  # American Express
    (37, 37, (15,), False),
    (300, 305, (14, 16), True),  # Diners Club
    (3095, 3095, (14, 16), True),
    (36, 36, (14, 16), True),
    (38, 39, (14, 16), True),
    (1800, 1800, (15,), True),  # JCB
    (2131, 2131, (15,), True),
    (3528, 3589, (16, 17, 18, 19), False),
    (35, 35, (16,), True),
    (4, 4, (16,), False),  # Visa
    (4, 4, (13, 19), True),
    (51, 55, (16,), False),  # Mastercard
    (2221, 2720, (16,), False),
    (2200, 2204, (16, 17, 18, 19), True),  # Mir
    (6011, 6011, (16, 19), False),  # Discover
    (644, 649, (16, 19), False),
    (65, 65, (16, 19), False),
    (622126, 622925, (16, 19), False),
    (62, 62, (16, 17, 18, 19), True),  # UnionPay
    (81, 81, (16, 17, 18, 19), True),
    (50, 50, (12, 13, 14, 15, 16, 17, 18, 19), True),  # Maestro
    (56, 58, (12, 13, 14, 15, 16, 17, 18, 19), True),
    (6, 6, (12, 13, 14, 15, 16, 17, 18, 19), True),
    (60, 60, (16,), True),  # RuPay
    (9792, 9792, (16,), True),  # Troy
)


_Range = tuple[bytes, bytes, int, bool]


def _issued() -> dict[tuple[int, int], tuple[_Range, ...]]:
    """The ranges of the numbers that begin with this digit and have this length, and how many digits decide."""
    ranges: dict[tuple[int, int], tuple[_Range, ...]] = {}
    for low, high, lengths, broad in _RANGES:
        for length in lengths:
            for first in range(int(str(low)[0]), int(str(high)[0]) + 1):
                key = 48 + first, length
                ranges[key] = (*ranges.get(key, ()), (b"%d" % low, b"%d" % high, len(str(low)), broad))
    return ranges


_ISSUED = _issued()


def finder() -> Finder:
    return viewing(
        NAME,
        frozenset({"credit_card"}),
        WIDTH,
        find,
        ending(_OPEN, WIDTH),
        reach=FAR,
        holds=DIGITS,
        opens=DIGITS,
        signs=(_SIGNS,),
    )


def find(view: View) -> Sequence[Finding]:
    data = view.shadow
    if len(data) >= SHORT and view.digits < 12:
        return []
    findings = []
    for start, end in spans(_PLACES, data) if len(data) >= SHORT else ((0, len(data)),):
        for match in _NUMBER.finditer(data, start, end + _FOLLOWS):
            begin, until = match.start(), match.end(1)
            digits = data[begin:until].translate(None, _BETWEEN)
            issued = issuer(digits)
            if issued is None or not luhn(digits) or not digits.strip(digits[:1]):
                continue
            spoken = _WORDS.search(view.lower, max(0, begin - _CONTEXT), begin) is not None
            if spoken or not issued:
                findings.append(Finding("credit_card", begin, until, 0.98 if spoken else 0.85, NAME))
    return findings


def luhn(digits: bytes) -> bool:
    single = digits[::-2]
    return (sum(single) - 48 * len(single) + sum(digits[-2::-2].translate(_DOUBLED))) % 10 == 0


def issuer(digits: bytes) -> bool | None:
    """None: no issuer has this number. True: one has, but its range is so wide that many other numbers fall into it."""
    wide = None
    for low, high, many, broad in _ISSUED.get((digits[0], len(digits)), ()):
        if low <= digits[:many] <= high:
            if not broad:
                return False
            wide = True
    return wide
