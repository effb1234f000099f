"""National identifiers of some fifty countries: by their format, their check digits, and the words next to them.

There are two ways to find one: groups of digits, which are tried against the patterns that count without a word; and a
word such as `pesel`, after which its format is searched for. Check digits are tested by python-stdnum, which the extra
`detect` installs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.detect.finder import DIGITS, FAR, DetectorFailed, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import SHORT, spans
from policyengine.detect.match_starts import ending
from policyengine.detect.outermost import outermost
from policyengine.detect.personal.identifiers_table import ALWAYS, IDENTIFIERS, REGION, Identifier
from policyengine.detect.shadow import WORD
from policyengine.detect.view import View
from policyengine.lazy_import import is_installed

NAME = "national_id"
_AFTER = 48
_LONGEST = 24
WIDTH = 2 * (_AFTER + _LONGEST + 8)
KINDS = frozenset(one.kind for one in IDENTIFIERS)

_PRINTED = frozenset({"078051120", "457555462", "219099999"})
_DIGITS = rb"[0-9](?:[ .\-/+]?[0-9A-FU-Y]?[0-9]){5,}"
_LETTERS = (
    rb"[A-Z]{4}(?:[A-Z]{2}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]|[0-9]{6}[HM][A-Z]{5}[A-Z0-9][0-9]|"
    rb"[A-Z][0-9]{4}[A-Z])\b"
)
_BARE = list(enumerate(IDENTIFIERS))
_GROUP = re.compile(rb"[A-Za-z0-9]+")
_CAPITALS = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_HEAD = re.compile(rb"(?<![A-Za-z0-9])[A-Z]{1,2}[- ]?\Z")

# The characters that patterns are made of, at the end of a text.
_OPEN = re.compile(rb"(?<![A-Za-z0-9])[0-9A-Zk][0-9A-Zk &+\-./]*\Z")


@dataclass(frozen=True, slots=True)
class _Rows:
    """The identifiers to find: `bare`, those that count without a word; `spelled`, whether one of these begins with
    letters; and each word with the identifiers that follow it."""

    bare: tuple[int, ...]
    spelled: bool
    words: tuple[bytes, ...]
    after: tuple[tuple[int, ...], ...]


def _rows(kinds: frozenset[str], regions: frozenset[str]) -> _Rows:
    bare: list[int] = []
    after: dict[bytes, list[int]] = {}
    for index, one in _BARE:
        if one.kind in kinds:
            if one.without == ALWAYS or (one.without == REGION and one.region in regions):
                bare.append(index)
            for word in one.words:
                after.setdefault(word.encode("ascii"), []).append(index)
    words = tuple(sorted(after))
    spelled = any(IDENTIFIERS[index].pattern.startswith("[A-Z]") for index in bare)
    return _Rows(tuple(bare), spelled, words, tuple(tuple(after[word]) for word in words))


@lru_cache(maxsize=64)
def _places_of(words: tuple[bytes, ...]) -> Callable[..., list[tuple[int, int, int]]]:
    return BytesAhoCorasick(list(words), implementation=Implementation.DFA).find_matches_as_indexes


@cache
def _patterns() -> list[re.Pattern[bytes]]:
    return [re.compile(rb"(?:" + one.pattern.encode() + rb")(?![A-Za-z0-9])(?![.\-/]\d)") for one in IDENTIFIERS]


@lru_cache(maxsize=64)
def _one_of(rows: tuple[int, ...]) -> re.Pattern[bytes]:
    """An expression that matches if any of these patterns does: most numbers match none."""
    return re.compile(b"|".join(_patterns()[index].pattern for index in rows) or b"(?!)")


def finder(regions: frozenset[str]) -> Finder:
    return _finder(KINDS, regions)


def _finder(kinds: frozenset[str], regions: frozenset[str]) -> Finder:
    rows = _rows(kinds, regions)
    return viewing(
        NAME,
        kinds,
        WIDTH,
        lambda view: find(view, rows),
        ending(_OPEN, _LONGEST + 4),
        reach=FAR,
        holds=DIGITS,
        opens="[0-9A-Z]|(?<![A-Za-z0-9])k",
        signs=(_signs(rows),),
        only=lambda some: _finder(some, regions),
    )


def _signs(rows: _Rows) -> bytes:
    """The patterns that count by themselves, and the words: each finding contains one or the other."""
    patterns = [IDENTIFIERS[index].pattern.encode() for index in rows.bare]
    return b"|".join((*patterns, *(b"(?i:" + re.escape(word) + b")" for word in rows.words))) or b"[^\\x00-\\xff]"


def find(view: View, rows: _Rows) -> Sequence[Finding]:
    if not is_installed("stdnum"):
        raise DetectorFailed(NAME, "needs the package python-stdnum")
    data = view.shadow
    if len(data) >= SHORT and view.digits < 4:
        return []
    findings: list[Finding] = []
    for start, end in spans(_DIGITS, data):
        if data[start - 1 : start].islower() and data[start:end].isdigit():
            continue  # a part of something else, such as hexadecimal
        findings += _written(data, start, end, rows.bare)
    for start, _ in spans(_LETTERS, data) if rows.spelled else ():
        if start and (data[start - 1] in WORD or data[start - 1] == 95):
            continue
        findings += _at(data, start, rows.bare, 0.9)
    for index, start, end in _places_of(rows.words)(view.lower, overlapping=True):
        if (start and data[start - 1] in WORD) or (end < len(data) and data[end] in WORD):
            continue
        findings += _after_word(data, end, rows.after[index])
    return outermost(findings)


def _written(data: bytes, start: int, end: int, bare: tuple[int, ...]) -> list[Finding]:
    """The identifiers that begin at a group of digits in this run, or at the letters before one."""
    findings: list[Finding] = []
    for group in _GROUP.finditer(data, start, end):
        at = group.start()
        if _is_unattached(data, at):
            findings += _at(data, at, bare, 0.85)
        if at and (data[at - 1] in _CAPITALS or (at > 1 and data[at - 2] in _CAPITALS)):
            head = _HEAD.search(data, max(0, at - 4), at)
            if head is not None and _is_unattached(data, head.start()):
                findings += _at(data, head.start(), bare, 0.85)
    return findings


def _is_unattached(data: bytes, begin: int) -> bool:
    """Whether nothing before this place is joined to what begins here."""
    if not begin:
        return True
    before = data[begin - 1]
    return not (before in WORD or (before in b".-/+_$#@" and begin > 1 and data[begin - 2] in WORD))


def _at(data: bytes, begin: int, rows: tuple[int, ...], score: float) -> list[Finding]:
    if _one_of(rows).match(data, begin) is None:
        return []
    findings, patterns = [], _patterns()
    for index in rows:
        match = patterns[index].match(data, begin)
        if match is not None and _valid(IDENTIFIERS[index], match[0].decode()):
            findings.append(Finding(IDENTIFIERS[index].kind, begin, match.end(), score, NAME))
    return findings


def _after_word(data: bytes, after: int, rows: tuple[int, ...]) -> list[Finding]:
    """The first text after a word that has the format for it."""
    findings, patterns = [], _patterns()
    for index in rows:
        for match in patterns[index].finditer(data, after, after + _AFTER):
            begin = match.start()
            if data[begin - 1] in WORD or not _valid(IDENTIFIERS[index], match[0].decode()):
                continue
            findings.append(Finding(IDENTIFIERS[index].kind, begin, match.end(), 0.95, NAME))
            break
    return findings


def _valid(one: Identifier, value: str) -> bool:
    if len(set(value)) < 3:
        return False
    try:
        return _check(one.module)(value)
    except Exception:  # noqa: BLE001 - python-stdnum fails for places that it does not know
        return True  # it has the format, and no check digit says otherwise


@lru_cache(maxsize=256)
def _check(module: str) -> Callable[[str], bool]:
    if module.startswith("."):
        return {".plain": _has_digit, ".nino": _nino, ".nric": _nric, ".ssn": _ssn}[module]
    valid: Callable[[str], bool] = importlib.import_module(f"stdnum.{module}").is_valid
    return valid


def _has_digit(value: str) -> bool:
    return any(c.isdigit() for c in value)


def _nino(value: str) -> bool:
    """Prefixes that are never issued. Source:
    https://www.gov.uk/hmrc-internal-manuals/national-insurance-manual/nim39110"""
    return value[:2] not in {"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"} and value[1] != "O"


def _ssn(value: str) -> bool:
    """Areas, groups and serials that are never issued, and numbers that were printed on cards and in leaflets. Source:
    https://www.ssa.gov/employer/randomizationfaqs.html, https://www.ssa.gov/history/ssn/misused.html"""
    digits = value.replace("-", "").replace(" ", "").replace(".", "")
    return (
        digits[0] != "9"
        and digits[:3] not in ("000", "666")
        and digits[3:5] != "00"
        and digits[5:] != "0000"
        and digits not in _PRINTED
    )


def _nric(value: str) -> bool:
    """Weights 2 7 6 5 4 3 2, an offset of 4 for T and G, and a letter for the remainder modulo 11."""
    total = sum(w * int(d) for w, d in zip((2, 7, 6, 5, 4, 3, 2), value[1:8], strict=True)) + 4 * (value[0] in "TG")
    return ("JZIHGFEDCBA" if value[0] in "ST" else "XWUTRQPNMLK")[total % 11] == value[8]
