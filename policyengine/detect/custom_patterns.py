"""The user's own patterns and words, from a Vocabulary.

A pattern is RE2, so the search is linear in any text. Every place is tried, so no match is lost because another began
before it. The author states how long a match can be; a longer one is found, but a stream may cut it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import re2
from ahocorasick_rs import AhoCorasick, Implementation

from policyengine.detect.finder import Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.match_starts import Heads
from policyengine.detect.outermost import outermost
from policyengine.detect.reserved import replacement
from policyengine.detect.view import View
from policyengine.detect.vocabulary import Pattern

PATTERN, WORD = "own pattern", "own word"


def finders(patterns: tuple[Pattern, ...], words: tuple[tuple[str, str], ...]) -> tuple[Finder, ...]:
    """Raises ValueError for a pattern that RE2 does not accept or that matches the empty text, for an empty word, and
    for a kind that no replacement could name."""
    made = [_pattern(one) for one in patterns]
    return (*made, _words(words)) if words else tuple(made)


def _pattern(one: Pattern) -> Finder:
    replacement(one.kind)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 22
    try:
        regex = re2.compile(one.regex.encode(), options)
    except (re2.error, UnicodeEncodeError):
        raise ValueError(f"the pattern of `{one.kind}` is none that RE2 accepts") from None
    if regex.match(b"") is not None or not 0.0 <= one.score <= 1.0 or one.width < 1:
        raise ValueError(f"the pattern of `{one.kind}` matches nothing, or has no score or width")
    return viewing(
        PATTERN, frozenset({one.kind}), 2 * one.width, lambda view: _matches(view.text, regex, one), reads_marks=True
    )


def _matches(text: str, regex: Any, one: Pattern) -> Sequence[Finding]:
    data = text.encode("utf-8", "replace")
    findings = []
    at = byte = place = 0
    while (match := regex.search(data, at)) is not None:
        start, end = match.span()
        if end > start:
            place += len(data[byte:start].decode("utf-8", "ignore"))
            byte = start
            findings.append(
                Finding(one.kind, place, place + len(data[start:end].decode("utf-8", "ignore")), one.score, PATTERN)
            )
        at = start + 1
        while at < len(data) and data[at] & 0xC0 == 0x80:
            at += 1
        if at >= len(data):
            break
    return outermost(findings)


def _words(words: tuple[tuple[str, str], ...]) -> Finder:
    for kind, word in words:
        replacement(kind)
        if not word.strip():
            raise ValueError(f"a word of `{kind}` is empty")
    written = [_lowered(word) for _, word in words]
    automaton = AhoCorasick(written, implementation=Implementation.ContiguousNFA)
    longest = max(map(len, written))

    def find(view: View) -> Sequence[Finding]:
        plain = _lowered(view.text)
        return [
            Finding(words[index][0], start, end, 1.0, WORD)
            for index, start, end in automaton.find_matches_as_indexes(plain, overlapping=True)
            if not (plain[start - 1 : start] if start else "").isalnum() and not plain[end : end + 1].isalnum()
        ]

    heads = Heads(written)

    def begins(text: str, start: int) -> int:
        return max(start, len(text) - heads.at_the_end(_lowered(text[max(start, len(text) - longest) :])))

    return viewing(WORD, frozenset(kind for kind, _ in words), longest + 2, find, begins, reach=2, reads_marks=True)


def _lowered(text: str) -> str:
    """The text in lower case, with the same number of characters."""
    if text.isascii():
        return text.lower()
    lowered = text.encode("utf-8", "replace").decode().lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := c.lower()) == 1 else c for c in text.encode("utf-8", "replace").decode())
