"""Telephone numbers: plans and lengths as `phonenumbers` knows them, and numbers next to a word such as "call".

Source: ITU-T E.164 and the metadata of https://github.com/google/libphonenumber, which `phonenumbers` carries; the
extra `detect` installs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policyengine.detect.finder import DIGITS, NEAR, DetectorFailed, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import SHORT, spans
from policyengine.detect.match_starts import ending
from policyengine.detect.outermost import outermost
from policyengine.detect.personal.phone_plans import valid
from policyengine.detect.shadow import WORD
from policyengine.detect.view import View
from policyengine.lazy_import import is_installed

NAME = "phone"
_BEFORE, _AFTER, _LONGEST = 28, 14, 32
WIDTH = 2 * (_BEFORE + _LONGEST + _AFTER)

# Groups of digits: seven digits or more, with at most two characters between two of them.
_PLACES = rb"[0-9](?:[ .()/\-]{0,2}[0-9]){6,}"
_NUMBER = re.compile(
    rb"(?:\+|\b00)?\(?\d{1,4}(?:\)|(?:[ .\-/]?\(0?\d{0,4}\))|)(?:[ .\-/]{0,2}\d{1,12}){0,6}"
    rb"(?:(?: ?(?:x|ext\.?) ?)\d{1,5})?"
)
# The beginning of a number at the end of a text, with what may follow one.
_OPEN = re.compile(
    rb"(?:[(+]{1,2}|[(+]{0,2}[0-9][0-9()+ ./\-]*(?:(?:x|ex?|ext\.?) ?[0-9]*)?[ ,\-\\]{0,3}\(?[A-Za-z]{0,6})\Z"
)
# For a text in lower case: Python's expressions are slow when they ignore case.
_WORDS = (
    rb"(?:phone|mobile|tel(?:efono?|\?fono|ephone|\.)?|cell(?:ular)?|fax|call(?: (?:me|us|him|her|them))?|desk|"
    rb"office|"
    rb"whats ?app|sms|text|contact|hotline|dial|reach|ring|answering|messages? (?:to|on)(?: my)?(?: registered)?|handy|"
    rb"rufnummer|t[e?]l[e?]phone|portable|home|work)"
)
_SAID_BEFORE = re.compile(rb"\b" + _WORDS + rb"\b(?:[^\d\n]{0,16}|[ \t]{0,3}:[ \t]{0,3}\r?\n[ \t]{0,8}\(?)\Z")
_WORDS_AFTER = rb"[ ,\-\\]{1,3}\(?(?:fax|mobile|office|desk|cell|home|work|phone|tel)"
_SAID_AFTER = re.compile(_WORDS_AFTER + rb"\b")
# What may continue a number after its run of digits.
_GOES_ON = re.compile(rb"[ .\-/]*[(xe]")
_SHORTEST_WORD = 3
_NANP = re.compile(
    rb"(?:\+?1[-. ]?)?(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[-. ])[2-9]\d{2}[-. ]\d{4}(?:(?: ?(?:x|ext\.?) ?)\d{1,5})?\Z"
)
# A number has seven digits, and has a word for it, its prefix, or the North American format.
_SIX = rb"(?:[ .()/\-ext]*[0-9]){6}"
_SIGNS = (
    rb"(?i:\b" + _WORDS + rb"\b)(?:[^0-9\n]*|[ \t]*:[ \t]*\r?\n[ \t(+]*)[0-9]" + _SIX + rb"|"
    rb"[0-9]" + _SIX + rb"[()]*(?i:" + _WORDS_AFTER + rb")|\+\(?[0-9]" + _SIX + rb"|"
    rb"(?:\A|(?:\A|[^0-9])[.\-/]|[^A-Za-z0-9_@#$=%.\-/])(?:\([0-9]|0)" + _SIX + rb"|"
    rb"[2-9][0-9]{2}[-. )]{1,2}[2-9][0-9]{2}[-. ][0-9]{4}"
)
_DATE = re.compile(rb"(?:19|20)\d{2}[-./]\d{1,2}[-./]\d{1,2}|\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d{2}")
_DECIMAL = re.compile(rb"[+(]?(?:\d+\.\d+|0\d*)\Z|\+\(?0")
_GROUPED = re.compile(rb"\d[ ()\-]\(?\d")
_BETWEEN = b"+() .-/ext"
_APART = re.compile(rb"[0-9](?<![A-Za-z0-9_@#$=%][0-9])(?<![0-9][.\-/][0-9])[0-9]*")
_DIGITS = frozenset(b"0123456789")
_GLUED = WORD | frozenset(b"_@#$=%")
_RUNS_ON = WORD | frozenset(b"_@%")
_JOINS = frozenset(b".-/")


def finder(regions: frozenset[str]) -> Finder:
    """Finds national numbers of these regions."""
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
        signs=(_SIGNS,),
    )


def find(view: View, regions: tuple[str, ...]) -> Sequence[Finding]:
    if not is_installed("phonenumbers"):
        raise DetectorFailed(NAME, "needs the package phonenumbers")
    data = view.shadow
    if len(data) >= SHORT and view.digits < 7:
        return []
    findings = []
    for start, end in spans(_PLACES, data):
        if start and data[start - 1] in WORD and data[start:end].isdigit():
            continue  # a part of something else, such as hexadecimal
        for begin in _starts(data, start, end):
            one = _number(view, begin, regions)
            if one is not None:
                findings.append(one)
                if one.end == end and _GOES_ON.match(data, end) is None:
                    break  # later starts end here as well
    return outermost(findings)


def _starts(data: bytes, start: int, end: int) -> Iterator[int]:
    """Where a number may begin: at a group of digits that is joined to nothing before it."""
    for group in _APART.finditer(data, start, end):
        at = low = group.start()
        before = data[low - 1] if low else 32
        if before not in b"(+":
            yield low
            continue
        while low and at - low < 2 and data[low - 1] in b"(+":
            low -= 1
        before = data[low - 1] if low else 32
        if before not in _GLUED and not (before in _JOINS and low > 1 and data[low - 2] in _DIGITS):
            yield low


def _number(view: View, begin: int, regions: tuple[str, ...]) -> Finding | None:
    data = view.shadow
    match = _NUMBER.match(data, begin, begin + _LONGEST)
    if match is None:
        return None
    written = match[0]
    digits = written.translate(None, _BETWEEN)
    if not 7 <= len(digits) <= 20:
        return None
    end = match.end()
    if end < len(data):
        after = data[end]
        if after in _RUNS_ON and data[end - 1] in _DIGITS:
            return None
        if after in b".,/-" and data[end + 1 : end + 2].isdigit():
            return None
    if len(set(digits)) < 3 or _DATE.match(written) or _DECIMAL.match(written):
        return None
    score = _score(view, begin, end, written, digits, regions)
    return Finding("phone", begin, end, score, NAME) if score else None


def _has_word(lower: bytes, begin: int, end: int) -> bool:
    """Whether a word shows that this is a telephone number. No digit is between the two."""
    if begin >= _SHORTEST_WORD and _SAID_BEFORE.search(lower, max(0, begin - _BEFORE), begin) is not None:
        return True
    return _SAID_AFTER.match(lower, end, end + _AFTER) is not None


def _score(view: View, begin: int, end: int, written: bytes, digits: bytes, regions: tuple[str, ...]) -> float:
    if len(digits) <= 16 and _has_word(view.lower, begin, end):
        return 0.9 if written.startswith(b"+") else 0.75
    if written.startswith((b"+", b"00")):
        if valid("+" + written.decode().lstrip("+0").replace("(0)", ""), None):
            return 0.95
        return 0.6 if written.startswith(b"+") and 10 <= len(digits) <= 15 and _GROUPED.search(written) else 0.0
    if ("US" in regions or "CA" in regions) and _NANP.match(written):
        return 0.7
    if written.translate(None, b"0123456789") and (written[:1] in b"0(") and written.count(b".") < 2:
        for region in regions:
            if valid(written.decode(), region):
                return 0.6
    return 0.0
