"""Links that can carry data away: images and frames that load from elsewhere, and hosts that are not on the list.

Sources: CommonMark 0.31 (images, reference definitions, autolinks); the HTML Standard (elements that fetch by
themselves); https://owasp.org/www-project-top-10-for-large-language-model-applications (improper output handling).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.detect.finder import NEAR, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.match_starts import last_word
from policyengine.detect.shadow import Runs
from policyengine.detect.view import View

NAME = "links"
KINDS = frozenset({"exfiltration.image", "exfiltration.html", "link.foreign", "link.script"})
_TAG, _URL = 512, 512
WIDTH = _TAG + _URL + 32

_LITERALS = [b"![", b"<img", b"<image", b"<iframe", b"<script", b"<link", b"<object", b"<embed", b"<video", b"<audio"]
_LITERALS += [
    b"<source",
    b"<input",
    b"<form",
    b"<meta",
    b"<base",
    b"url(",
    b"@import",
    b"://",
    b"www.",
    b"javascript:",
    b"data:text/html",
]
_OPENS = re.compile(r"!\[|<[a-z]|url\(|@import", re.IGNORECASE)
_words = BytesAhoCorasick(_LITERALS, implementation=Implementation.DFA)
_IMAGE = re.compile(rb"!\[[^\]\n]{0,256}\](?:\(\s{0,4}<?([^\s)>]{1,%d}+)|\[[^\]\n]{0,64}\]|:? ?)" % _URL)
_LOADS = re.compile(
    rb"(?is)<[a-z]+[\s/][^>]{0,400}?\b(?:src|srcset|href|data|poster|action|formaction|background|content|xlink:href)\s*=\s*"
    rb"[\"']?[^\"'\s>]{0,64}?((?:https?:)?//[^\s\"'>]{1,%d}+)" % _URL
)
_STYLE = re.compile(rb"(?is)(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\s\"')]{1,%d}+)" % _URL)
_HOST = re.compile(rb"(?:[^\s/@\\]{0,128}@)?(\[[0-9a-fA-F:.]+\]|[^\s/:?#\\\"'<>()\[\],;]{1,253})")
_END = frozenset(range(256)) - frozenset(b" \t\r\n\"'<>()[]{}|\\^`")
_SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]{0,15}\Z")


def finder(hosts: frozenset[str] | None) -> Finder:
    known = None if hosts is None else frozenset(host.lower().strip(".") for host in hosts)
    return viewing(
        NAME,
        KINDS,
        WIDTH,
        lambda view: find(view, known),
        begins,
        reach=NEAR,
        holds=r"[!<(@:]|[Ww]\.",
        opens=r"!\[|<[A-Za-z]|[Uu][Rr][Ll]\(|@[Ii]",
    )


def begins(text: str, start: int) -> int:
    """Where something that loads begins and may go on; otherwise the beginning of the last word."""
    for opening in _OPENS.finditer(text, start):
        at = opening.start()
        goes_on = len(text) - at < WIDTH or len(text.rpartition(" ")[2]) >= _URL // 2
        if goes_on:
            return min(at, last_word(text, start))
    return last_word(text, start)


def find(view: View, hosts: frozenset[str] | None) -> Sequence[Finding]:
    text, data = view.text, view.shadow
    findings: dict[tuple[str, int, int], Finding] = {}
    runs = Runs(data, _END)
    for index, start, end in _words.find_matches_as_indexes(view.lower, overlapping=True):
        one = _at(text, data, runs, _LITERALS[index], start, end, hosts)
        if one is not None:
            findings[one.kind, one.start, one.end] = one
    return list(findings.values())


def _at(
    text: str, data: bytes, runs: Runs, literal: bytes, start: int, end: int, hosts: frozenset[str] | None
) -> Finding | None:
    if literal in (b"://", b"www."):
        return _foreign(text, data, runs, start, end, hosts)
    if literal in (b"javascript:", b"data:text/html"):
        return (
            Finding("link.script", start, end, 0.7, NAME)
            if data[start - 1 : start] in (b"(", b'"', b"'", b"=")
            else None
        )
    if literal == b"![":
        match, kind = _IMAGE.match(data, start), "exfiltration.image"
    elif literal in (b"url(", b"@import"):
        match, kind = _STYLE.match(data, start), "exfiltration.html"
    else:
        match = _LOADS.match(data, start)
        kind = "exfiltration.image" if literal in (b"<img", b"<image") else "exfiltration.html"
    if match is None or not match[1]:
        return None
    at = data.find(b"//", match.start(1), match.start(1) + 16)
    if at < 0 or _listed(text, data, at + 2, hosts):
        return None
    stop = match.end()
    if stop - match.start(1) >= _URL:
        stop = runs.end(stop)
    if literal == b"![" and data[match.start(1) - 1 : match.start(1)] == b"(" and data[stop : stop + 1] == b")":
        stop += 1
    return Finding(kind, start, stop, 0.9 if b"?" in match[1] or b"{" in match[1] else 0.7, NAME)


def _listed(text: str, data: bytes, at: int, hosts: frozenset[str] | None) -> bool:
    """Whether the host at this place, or a domain above it, is on the list."""
    if hosts is None:
        return False
    match = _HOST.match(data, at)
    if match is None:
        return False
    host = text[match.start(1) : match.end(1)].lower().strip(".")
    return any(host == known or host.endswith("." + known) for known in hosts)


def _foreign(text: str, data: bytes, runs: Runs, start: int, end: int, hosts: frozenset[str] | None) -> Finding | None:
    if hosts is None:
        return None
    at, begin = end, start
    if data[start : start + 3] == b"://":
        scheme = _SCHEME.search(data[max(0, start - 16) : start])
        if scheme is None:
            return None
        begin = start - len(scheme[0])
    elif start and (data[start - 1 : start].isalnum() or data[start - 1] in b"/.@-_"):
        return None
    else:
        at = start
    if not _HOST.match(data, at) or _listed(text, data, at, hosts):
        return None
    return Finding("link.foreign", begin, max(runs.end(end), end), 0.9, NAME)
