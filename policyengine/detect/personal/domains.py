"""Names of hosts: in links, after `www.`, or bare with a top level that rarely means anything else (RFC 1034 section
3.5).

Ordinary text has many, and most identify nobody: a policy has to ask for them by name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policyengine.detect.finder import Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.locate import spans
from policyengine.detect.match_starts import last_word
from policyengine.detect.shadow import WORD
from policyengine.detect.view import View

NAME = "domain"
WIDTH = 560
_BACK = 256
_PLACES = rb"(?i)://|\bwww\.|\.(?:com|org|net|edu|gov|co\.uk|de|nl|eu)\b"
# A bare name has no `@` before it, unlike the host of a mail address.
_SIGNS = rb"(?i)://|\bwww\.|(?:\A|[^A-Za-z0-9_@.%/-])[a-z0-9][a-z0-9.-]*\.(?:com|org|net|edu|gov|co\.uk|de|nl|eu)\b"
_AFTER_SCHEME = re.compile(
    rb"(?:[^\s/@:\"'<>]{1,64}(?::[^\s/@\"'<>]{0,64})?@)?((?:[A-Za-z0-9?](?:[A-Za-z0-9?_-]{0,61}[A-Za-z0-9?])?\.){1,8}[A-Za-z?][A-Za-z0-9?-]{1,23})"
)
_WWW = re.compile(rb"(?i)www\.(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){1,7}[a-z]{2,24}")
_BARE = re.compile(
    rb"(?i)(?<![\w@.%/-])(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.){0,6}[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)
_CHARACTERS = bytes(WORD) + b".-"


def finder() -> Finder:
    return viewing(
        NAME, frozenset({"domain"}), WIDTH, find, last_word, reach=_BACK + 8, holds=r"\.[^ \n.]", signs=(_SIGNS,)
    )


def find(view: View) -> Sequence[Finding]:
    data = view.shadow
    findings: dict[tuple[int, int], Finding] = {}
    for start, end in spans(_PLACES, data):
        place = _host(data, start, end)
        if place is not None:
            findings[place] = Finding("domain", *place, 0.9 if data[start : start + 3] == b"://" else 0.7, NAME)
    return list(findings.values())


def _host(data: bytes, start: int, end: int) -> tuple[int, int] | None:
    if data[start : start + 3] == b"://":
        match = _AFTER_SCHEME.match(data, end, end + 520)
        return match.span(1) if match else None
    if data[start : start + 4].lower() == b"www.":
        match = _WWW.match(data, start, start + 260) if not start or data[start - 1] not in b"/@." else None
        return match.span() if match else None
    # `user.de-DE`, `array.com(x)` and `a.com@host` are a locale, a call and a mail address.
    if data[end : end + 2][:1] in (b".", b"-", b"(", b"_", b"@", b"=") and data[end + 1 : end + 2].isalnum():
        return None
    # The search goes no further back: an endless run of dots and letters would be read again for each `.com` in it.
    low = max(0, start - _BACK)
    # The search begins where the run of these characters begins, because a name contains no others.
    match = _BARE.search(data, low + len(data[low:start].rstrip(_CHARACTERS)), start)
    if match is None or (match.start() == low and low and data[low - 1] in WORD):
        return None
    return match.start(), end
