"""A text as it is meant, if characters are escaped or letters stand for others: a skeleton, and the way back.

Percent encoding, once or several times; HTML, Unicode, hexadecimal and octal escapes; quoted-printable; letters of
other alphabets, styled letters and tags that look like basic Latin letters (Unicode TS 39, the Tags block). One escape
is one character.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from itertools import chain

from policyengine.detect.locate import spans
from policyengine.detect.text_skeleton import TextSkeleton
from policyengine.detect.view import View

LONGEST_ESCAPE = 24
# Escapes of ASCII letters and digits; any other character counts as a blank.
_ESCAPE = (
    rb"%(?:25){0,5}[3-7][0-9a-f]|&(?:amp;){0,2}#x0{0,6}[3-7][0-9a-f];?|&(?:amp;){0,2}#0{0,6}(?:[4-9][0-9]|1[012][0-9]);?|"
    rb"\\u\{?0{0,4}[3-7][0-9a-f]\}?|\\x[3-7][0-9a-f]|\\(?:0[67]|1[0-7])[0-7]|=[3-7][0-9a-f]"
)
_NUMBER = re.compile(
    rb"(?:%(?:25)*|&(?:amp;)*#x0*|\\u\{?0*|\\x|=)(?P<hex>[0-9a-f]{2})|&(?:amp;)*#0*(?P<dec>[0-9]{2,3})|\\(?P<oct>[0-7]{3})"
)
_CUT = re.compile(r"[%&\\=]\S*\Z")
# The UTF-8 of the letters below.
_LETTERS = (
    rb"\xef[\xbc\xbd]|\xf0\x9d[\x90-\x9f]|\xe2[\x81\x82\x91-\x93]|\xf3\xa0|[\xce-\xd6]|\xe1[\xb4-\xb6]|\xea\x9c|\xc9[\xa2\xaa\xb4]|"
    rb"\xca[\x80\x8f\x99\x9c\x9f\xb0-\xb8]|\xcb[\xa0-\xa4]|\xf0\x9f[\x84-\x87]|\xc2[\xaa\xb2\xb3\xb9\xba]"
)
_LOOKS = str.maketrans(
    "аеорсухіјѕһԁԛԝοηνρτυχօսցոАВЕЅІЈКМНОРСТУХΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "aeopcyxijshdqwonvptuxoucnABESIJKMHOPCTYXABEZHIKMNOPTYX"
)
_STYLED = {
    code: plain
    for code in chain(
        range(0xFF10, 0xFF5B),
        range(0x1D400, 0x1D800),
        range(0x2460, 0x24EA),
        range(0x1D2C, 0x1D6B),
        range(0x2070, 0x20A0),
        range(0x1F130, 0x1F14A),
        range(0x1D78, 0x1DC0),
        range(0x2B0, 0x2B9),
        range(0x2E0, 0x2E5),
        (0xB2, 0xB3, 0xB9, 0xAA, 0xBA),
    )
    if len(plain := unicodedata.normalize("NFKC", chr(code)).strip("()")) == 1 and plain.isascii()
}
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
# Bytes as variation selectors: 17 to 256 stand for the bytes from 16 on.
_SELECTED = {0xE0100 + code - 16: chr(code) for code in range(0x20, 0x7F)}
# Letters in a circle or a square, white on black, and the letters of flags: Unicode has no mapping from these to the
# plain letter.
_BOXED = {start + at: chr(97 + at) for start in (0x1F150, 0x1F170, 0x1F1E6) for at in range(26)}
_SMALL = dict(zip(map(ord, "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ"), "abcdefghijklmnoprstuvwyz", strict=True))
_MEANT: dict[int, int | str] = {**_LOOKS, **_STYLED, **_TAGS, **_SELECTED, **_BOXED, **_SMALL}


def read_as(view: View) -> Iterator[TextSkeleton]:
    """The skeleton of a text, and of everything else that it may be read as."""
    yield view.skeleton
    text = view.text
    if not text.isascii() and next(iter(spans(_LETTERS, text.encode("utf-8", "replace"))), None) is not None:
        view = View(text.translate(_MEANT))
        yield view.skeleton
    if not _unescapable(view.lower):
        yield from _unescaped(view.lower)


def as_it_is(view: View) -> bool:
    """Whether the text has only one reading, the text itself."""
    return view.text.isascii() and _unescapable(view.shadow)


def _unescapable(data: bytes) -> bool:
    return b"%" not in data and b"&" not in data and b"\\" not in data and b"=" not in data


def cut_escape(text: str) -> int:
    """Where the last characters that may be part of an escape begin; the end of the text if none may."""
    match = _CUT.search(text, max(0, len(text) - LONGEST_ESCAPE))
    return len(text) if match is None else match.start()


def _unescaped(lower: bytes) -> Iterator[TextSkeleton]:
    parts: list[bytes] = []
    escapes: list[tuple[int, int, int]] = []
    at = size = 0
    for start, end in spans(_ESCAPE, lower):
        meant = _meaning(lower[start:end])
        if meant:
            parts += lower[at:start], meant
            size += start - at + 1
            escapes.append((size - 1, start, end))
            at = end
    if escapes:
        yield UnescapedSkeleton(b"".join((*parts, lower[at:])), escapes)


def _meaning(escape: bytes) -> bytes:
    """The letter or digit that an escape stands for; empty if it is another character."""
    match = _NUMBER.match(escape)
    if match is None:
        return b""
    base = 16 if match["hex"] else 10 if match["dec"] else 8
    number = int(match["hex"] or match["dec"] or match["oct"], base)
    meant = bytes([number]) if number < 128 else b""
    return meant.lower() if meant.isalnum() else b""


class UnescapedSkeleton(TextSkeleton):
    """The skeleton of the meaning of a text; `span` refers to the text itself. `escapes`: the place of each in the
    meaning, and its start and end in the text."""

    __slots__ = ("_escapes",)

    def __init__(self, meant: bytes, escapes: list[tuple[int, int, int]]) -> None:
        super().__init__(meant)
        self._escapes = escapes

    def back(self, many: int) -> int:
        size = len(self.data)
        return self.span(size - many, size)[0]

    def span(self, start: int, end: int) -> tuple[int, int]:
        first, behind = super().span(start, end)
        return self._place(first)[0], self._place(behind - 1)[1]

    def _place(self, meant: int) -> tuple[int, int]:
        number = bisect_right(self._escapes, (meant, 1 << 62, 0)) - 1
        if number < 0:
            return meant, meant + 1
        at, start, end = self._escapes[number]
        return (start, end) if at == meant else (end + meant - at - 1, end + meant - at)
