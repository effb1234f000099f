"""E-mail addresses (RFC 5321 section 4.1.2, RFC 6531 for letters beyond ASCII).

Quoted local parts and addresses at IP literals are left out: nobody has one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from policyengine.detect.finder import FAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.match_starts import last_word
from policyengine.detect.view import View

NAME = "email"
_LOCAL = 64
_DOMAIN = 253
WIDTH = _LOCAL + _DOMAIN + 8

_BEFORE = re.compile(r"(?:%40|[\w!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]{0,63}\Z")
_AFTER = re.compile(
    r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?[.\u3002\uff0e]){1,8}(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-]*@)"
)
# What follows an `@` in names of files and locales: `icon@2x.png`, `main@abc.py`, `ks_IN@devanagari.UTF-8`.
_FILES = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "py", "js", "ts", "tsx", "css", "md", "json", "txt", "so", "utf"}
)
_TRIM = "'`*=/{}|!?$&%#^~"


def finder() -> Finder:
    return viewing(NAME, frozenset({"email"}), WIDTH, find, last_word, reach=FAR, holds="@", signs=(b"@",))


def find(view: View) -> Sequence[Finding]:
    text = view.text
    findings: list[Finding] = []
    at = text.find("@")
    while at >= 0:
        low = max(0, at - _LOCAL)
        # The local part has no blank, so the search begins after the last one.
        before = _BEFORE.search(text, max(low, text.rfind(" ", low, at) + 1, text.rfind("\n", low, at) + 1), at)
        after = _AFTER.match(text, at + 1, at + 1 + _DOMAIN) if before else None
        if before and after:
            findings += _address(text, before.start(), at, after.end())
        at = text.find("@", at + 1)
    return findings


def _address(text: str, start: int, at: int, end: int) -> list[Finding]:
    """The address, without the punctuation that may precede it."""
    while start < at and text[start] in _TRIM:
        start += 1
    host = text[at + 1 : end]
    if text[start - 1 : start] == ":" and text.find("://", max(0, start - 72), start) >= 0:
        return []  # the password of a link
    if start == at or ".." in text[start:at] or text[at - 1] == "." or host.rpartition(".")[2].lower() in _FILES:
        return []
    return [Finding("email", start, end, 0.95 if host.isascii() else 0.8, NAME)]
