"""Text that does not show what it says: invisible and reordering characters, tags, letters of other alphabets.

Sources: Unicode Standard Annex 9 (bidirectional formatting), Technical Standard 39 (confusables), Technical Standard 51
(emoji, their joiners, selectors and flags), the Tags block (https://www.unicode.org/charts/PDF/UE0000.pdf), and RFC
3629 section 10 for encodings that are longer than they need to be. The letters that look alike are the single ones of
`confusables.txt` whose prototype is a basic Latin letter, for Cyrillic, Greek and Armenian.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from policyengine.detect.finder import FAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import spans
from policyengine.detect.match_starts import last_word
from policyengine.detect.view import View

NAME = "deceit"
KINDS = frozenset(f"deceit.{one}" for one in ("invisible", "bidi", "tag", "mixed_script", "styled", "encoding"))
_LONGEST = 128
WIDTH = 2 * _LONGEST + 8

# The UTF-8 of everything that the expressions below can match, so that one search settles most texts.
_ANYTHING = (
    rb"\xc2[\x80-\x9f\xad]|\xcd[\x8f\xb0-\xbf]|[\xce-\xd6]|\xd8\x9c|\xe1[\x85\x9e\xa0]|\xe2\x80[\x8b-\x8f\xaa-\xae]|\xe2\x81[\xa0-\xaf]|"
    rb"\xe3\x85\xa4|\xef[\xb8\xbb\xbc\xbd\xbe]|\xf0\x9d[\x90-\x9f]|\xf3\xa0"
)
_INVISIBLE = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b\u2060-\u2064\u206a-\u206f\u3164\ufeff\uffa0"
_CHARACTERS = re.compile(
    rf"(?P<tag>[\U000e0000-\U000e007f]+)|(?P<bidi>[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]+)|"
    rf"(?P<invisible>[{_INVISIBLE}]+|[\u200c\u200d](?=[\x00-\x7f])|(?<=[\x00-\x7f])[\u200c\u200d]|"
    rf"(?:[\ufe00-\ufe0f\U000e0100-\U000e01ef]){{2,}}|(?<=[\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f])[\ufe00-\ufe0f\U000e0100-\U000e01ef])|"
    rf"(?P<styled>[\U0001d400-\U0001d7ff]{{3,}}|[\uff21-\uff3a\uff41-\uff5a]{{3,}})"
)
# The characters that a match of the above can begin with: to search for a class is several times faster than for the
# expression.
_FIRST = re.compile(
    f"[\U000e0000-\U000e007f\u061c\u200c-\u200f\u202a-\u202e\u2066-\u2069{_INVISIBLE}"
    "\ufe00-\ufe0f\U000e0100-\U000e01ef\U0001d400-\U0001d7ff\uff21-\uff3a\uff41-\uff5a]"
)
_LIKE_LATIN = "аеорсухіјѕһԁԛԝАВЕЅІЈКМНОРСТУХοΑΒΕΖΗΙΚΜΝΟΡΤΥΧօսցհոԼՍՕ"
_MIXED = re.compile(f"[{_LIKE_LATIN}]")
_PART = re.compile(r"[^\W\d_]{1,64}")
_FLAG = "\U0001f3f4"
# `/` and `.` written longer than they need to be, double percent encoding, and NUL.
_ENCODED = rb"(?i)%c0%a[ef]|%e0%80%a[ef]|%f0%80%80%a[ef]|%25(?:2e|2f|5c|3c|3e|00|0a|0d)|%00|\\u202[a-e]|\x00"


def finder() -> Finder:
    return viewing(NAME, KINDS, WIDTH, find, last_word, reach=FAR, holds=r"[^\x01-\x24\x26-\x5b\x5d-\x7f]")


def find(view: View) -> Sequence[Finding]:
    text, data = view.text, view.shadow
    findings = [Finding("deceit.encoding", start, end, 0.7, NAME) for start, end in spans(_ENCODED, data)]
    if not text.isascii() and next(iter(spans(_ANYTHING, text.encode("utf-8", "replace"))), None) is not None:
        findings += _characters(text)
        findings += _mixed(text)
    return findings


def _characters(text: str) -> Iterator[Finding]:
    at = 0
    while (first := _FIRST.search(text, at)) is not None:
        match = _CHARACTERS.match(text, first.start())
        at = match.end() if match is not None else first.end()
        if match is None:
            continue
        kind = match.lastgroup
        if kind == "tag" and text[match.start() - 1 : match.start()] == _FLAG and match[0].endswith("\U000e007f"):
            continue  # the flag of a region, https://www.unicode.org/reports/tr51/#flag-emoji-tag-sequences
        if kind == "invisible" and match.start() == 0 and match[0] == "\ufeff":
            continue  # a byte order mark
        yield Finding(f"deceit.{kind}", match.start(), match.end(), 0.95 if kind == "tag" else 0.8, NAME)


def _mixed(text: str) -> Iterator[Finding]:
    """Words that mix Latin letters with letters that look like Latin ones."""
    seen = -1
    for match in _MIXED.finditer(text):
        start = match.start()
        if start < seen or not (_latin(text[start - 1 : start]) or _latin(text[start + 1 : start + 2])):
            continue
        low = max(0, start - 64)
        while start > low and text[start - 1].isalpha():
            start -= 1
        word = _PART.match(text, match.start())
        end = seen = word.end() if word else match.end()
        yield Finding("deceit.mixed_script", start, end, 0.8, NAME)


def _latin(character: str) -> bool:
    return character.isascii() and character.isalpha()
