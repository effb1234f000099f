"""Telephone numbers: plans and lengths as `phonenumbers` knows them, and what is spoken of as a number to call.

Source: ITU-T E.164 and the metadata of https://github.com/google/libphonenumber, which `phonenumbers` carries; the
extra `detect` installs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from policyengine.detect.beginnings import ending
from policyengine.detect.finder import DIGITS, NEAR, DetectorFailed, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import spans
from policyengine.detect.nested import outermost
from policyengine.detect.shadow import WORD
from policyengine.detect.view import View
from policyengine.late import is_installed, library

phonenumbers = library("phonenumbers")

NAME = "phone"
_BEFORE, _AFTER, _LONGEST = 28, 14, 32
WIDTH = 2 * (_BEFORE + _LONGEST + _AFTER)

# Digits in groups: seven or more of them, with at most two characters between two.
_PLACES = rb"[0-9](?:[ .()/\-]{0,2}[0-9]){6,}"
_NUMBER = re.compile(
    rb"(?:\+|\b00)?\(?\d{1,4}(?:\)|(?:[ .\-/]?\(0?\d{0,4}\))|)(?:[ .\-/]{0,2}\d{1,12}){0,6}"
    rb"(?:(?: ?(?:x|ext\.?) ?)\d{1,5})?"
)
# The beginning of a number at the end of a text, with what may follow one.
_OPEN = re.compile(
    rb"(?:[(+]{1,2}|[(+]{0,2}[0-9][0-9()+ ./\-]*(?:(?:x|ex?|ext\.?) ?[0-9]*)?[ ,\-\\]{0,3}\(?[A-Za-z]{0,6})\Z"
)
_SAID_BEFORE = re.compile(
    rb"(?i)\b(?:phone|mobile|tel(?:efono?|\?fono|ephone|\.)?|cell(?:ular)?|fax|call(?: (?:me|us|him|her|them))?|desk|"
    rb"office|"
    rb"whats ?app|sms|text|contact|hotline|dial|reach|ring|answering|messages? (?:to|on)(?: my)?(?: registered)?|handy|"
    rb"rufnummer|t[e?]l[e?]phone|portable|home|work)\b(?:[^\d\n]{0,16}|[ \t]{0,3}:[ \t]{0,3}\r?\n[ \t]{0,8}\(?)\Z"
)
_SAID_AFTER = re.compile(rb"(?i)[ ,\-\\]{1,3}(?:\(?(?:fax|mobile|office|desk|cell|home|work|phone|tel)\b)")
_NANP = re.compile(
    rb"(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}(?:(?: ?(?:x|ext\.?) ?)\d{1,5})?\Z"
)
_DATE = re.compile(rb"(?:19|20)\d{2}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d{2}")
_GROUPED = re.compile(rb"\d[ ()\-]\(?\d")
_DECIMAL = re.compile(rb"[+(]?(?:\d+\.\d+|0\d*)\Z|\+\(?0")
_NOT_DIGITS = bytes(c for c in range(256) if not 48 <= c <= 57)
_JOINS = frozenset(b".-/")
_GLUED = WORD | frozenset(b"_@#$=%")


def finder(regions: frozenset[str]) -> Finder:
    """National numbers are those of these regions."""
    ordered = tuple(sorted(regions))
    return viewing(
        NAME,
        frozenset({"phone"}),
        WIDTH,
        lambda view: find(view, ordered),
        ending(_OPEN, WIDTH),
        reach=NEAR,
        holds=DIGITS,
        opens="[0-9(+]",
    )


def find(view: View, regions: tuple[str, ...]) -> Sequence[Finding]:
    if not is_installed("phonenumbers"):
        raise DetectorFailed(NAME, "needs the package phonenumbers")
    data = view.shadow
    if view.digits < 7:
        return []
    found = []
    for start, end in spans(_PLACES, data):
        if start and data[start - 1] in WORD and data[start:end].isdigit():
            continue  # a part of something else, such as hexadecimal
        for begin in _starts(data, start, end):
            found += _numbers(data, begin, regions)
    return outermost(found)


def _starts(data: bytes, start: int, end: int) -> list[int]:
    """Where a number may begin: at a group of digits that is joined to nothing before it."""
    found, at = [], start
    while at < end:
        low = at
        while low and data[low - 1] in b"(+" and at - low < 2:
            low -= 1
        before = data[low - 1] if low else 32
        if not (
            chr(before).isalnum()
            or before in b"_@#$=%"
            or (before in _JOINS and low > 1 and data[low - 2 : low - 1].isdigit())
        ):
            found.append(low)
        while at < end and 48 <= data[at] <= 57:
            at += 1
        while at < end and not 48 <= data[at] <= 57:
            at += 1
    return found


def _numbers(data: bytes, begin: int, regions: tuple[str, ...]) -> list[Finding]:
    match = _NUMBER.match(data, begin, begin + _LONGEST)
    if match is None:
        return []
    end = match.end()
    if end < len(data) and (data[end : end + 1].isalnum() or data[end] in b"_@%") and data[end - 1 : end].isdigit():
        return []
    if data[end : end + 2][:1] in (b".", b",", b"/", b"-") and data[end + 1 : end + 2].isdigit():
        return []
    written = match[0]
    digits = written.translate(None, _NOT_DIGITS)
    if not 7 <= len(digits) <= 20 or len(set(digits)) < 3 or _DATE.match(written) or _DECIMAL.match(written):
        return []
    score = _score(data, begin, end, written, digits, regions)
    return [Finding("phone", begin, end, score, NAME)] if score else []


def _score(data: bytes, begin: int, end: int, written: bytes, digits: bytes, regions: tuple[str, ...]) -> float:
    said = (
        _SAID_BEFORE.search(data, max(0, begin - _BEFORE), begin) is not None
        or _SAID_AFTER.match(data, end, end + _AFTER) is not None
    )
    if said and len(digits) <= 16:
        return 0.9 if written.startswith(b"+") else 0.75
    if written.startswith((b"+", b"00")):
        number = _parsed("+" + written.decode().lstrip("+0").replace("(0)", ""), None)
        if number is not None and phonenumbers.is_valid_number(number):
            return 0.95
        return 0.6 if written.startswith(b"+") and 10 <= len(digits) <= 15 and _GROUPED.search(written) else 0.0
    if ("US" in regions or "CA" in regions) and _NANP.match(written):
        return 0.7
    if written.translate(None, b"0123456789") and (written[:1] in b"0(") and written.count(b".") < 2:
        for region in regions:
            number = _parsed(written.decode(), region)
            if number is not None and phonenumbers.is_valid_number(number):
                return 0.6
    return 0.0


def _parsed(number: str, region: str | None) -> Any:
    try:
        return phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
