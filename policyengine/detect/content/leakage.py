"""Overlap with texts that must not leave: the system prompt, a document.

The texts are not kept. `fingerprint` makes a hash of every run of eight words. Each such run in a text is a finding,
and runs that touch are merged into one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from policyengine.detect.finder import NOTHING, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.match_starts import nowhere

NAME = "leakage"
WORDS = 8
_LONGEST = 512
"""What eight words and what stands between them may count."""

# Scripts without spaces count each character as a word.
_WORD = re.compile(r"[぀-ヿ㐀-鿿가-힯]|[^\W_぀-ヿ㐀-鿿가-힯]+")


def fingerprint(text: str) -> frozenset[int]:
    """The hashes to keep of a text; empty if it has fewer than eight words."""
    return frozenset(mark for _, _, mark in _shingles(text))


def finder(fingerprints: frozenset[int]) -> Finder:
    if not fingerprints:
        return viewing(NAME, frozenset({"leakage"}), 1, lambda view: (), nowhere, reach=0, holds=NOTHING)

    def begins(text: str, start: int) -> int:
        """Where the last words that may begin a run begin, or the run that they continue."""
        words = [match.start() + start for match in _WORD.finditer(text[start:])][-WORDS:]
        first = words[0] if words else len(text)
        return min(
            (one.start + start for one in _find(text[start:], fingerprints) if one.end + start > first), default=first
        )

    return viewing(
        NAME,
        frozenset({"leakage"}),
        2 * _LONGEST,
        lambda view: _find(view.text, fingerprints),
        begins,
        reach=2,
        reads_marks=True,
    )


def _shingles(text: str) -> Iterator[tuple[int, int, int]]:
    """Start, end and hash of every run of words."""
    words: deque[tuple[int, int]] = deque(maxlen=WORDS)
    for match in _WORD.finditer(text):
        words.append(match.span())
        start, end = words[0][0], words[-1][1]
        if len(words) == WORDS and end - start <= _LONGEST:
            run = "\x1f".join(text[a:b] for a, b in words).casefold()
            digest = blake2b(run.encode("utf-8", "surrogatepass"), digest_size=8).digest()
            yield start, end, int.from_bytes(digest, "big")


def _find(text: str, fingerprints: frozenset[int]) -> Sequence[Finding]:
    runs: list[list[int]] = []
    for start, end, mark in _shingles(text):
        if mark in fingerprints:
            if runs and start <= runs[-1][1]:
                runs[-1][1] = end
            else:
                runs.append([start, end])
    return [Finding("leakage", start, end, 0.95, NAME) for start, end in runs]
