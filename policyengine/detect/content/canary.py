"""Canaries: tokens of 256 bits that are placed in a system prompt, a document or a tenant's data, and nowhere else.

A canary in an output proves that the text with it has leaked. It is found in all forms that `canary_forms` lists; in
percent encoding, HTML, Unicode and octal escapes, even if only some of the characters are escaped, or are escaped
twice; in lookalike letters of other alphabets, in styled letters and between invisible characters; and compressed."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.detect.content.canary_forms import written_as
from policyengine.detect.content.compressed import blobs, open_blob
from policyengine.detect.finder import NEAR, NOTHING, Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.match_starts import Heads, nowhere
from policyengine.detect.outermost import outermost
from policyengine.detect.text_skeleton import TextSkeleton
from policyengine.detect.unescaped import as_it_is, cut_escape, read_as
from policyengine.detect.view import View

NAME = "canary"
BYTES = 32
_LONGEST = 1024
"""What a token may take in a text, whatever stands between its characters."""
_HEAD = 6
"""So much of each form is looked for in all of a text. The rest is compared where that is found."""
_SHORTEST = 8
"""A form with fewer characters is no token's: a number of few digits stands in many texts."""
_FEW = 4
"""The automaton of more is kept small."""
_TOKEN = re.compile(r"[a-z2-7]{52}")


def mint(random_bytes: bytes) -> str:
    """The token of 32 random bytes. Raises ValueError if there are not 32."""
    if len(random_bytes) != BYTES:
        raise ValueError("a canary has 256 bits")
    return base64.b32encode(random_bytes).decode().rstrip("=").lower()


def id_of(token: str) -> str:
    """The name of a canary where its token must not be shown. The token cannot be derived from it."""
    return sha256(token.encode()).hexdigest()[:8]


def finder(canaries: Sequence[str]) -> Finder:
    """The `detector` of a finding is `canary:` and the id of the token. Raises ValueError for a token that `mint` did
    not make: an ordinary word would be found everywhere."""
    if not all(map(is_token, canaries)):
        raise ValueError("not a canary: one is 52 letters and digits, as `policyengine canary mint` prints it")
    return _finder(tuple(sorted(set(canaries))))


def is_token(text: str) -> bool:
    """Whether `mint` can have made it."""
    return _TOKEN.fullmatch(text) is not None


@lru_cache(maxsize=16)
def _finder(canaries: tuple[str, ...]) -> Finder:
    """Cached: most tenants look for the same tokens, and each token has hundreds of forms."""
    forms = ((needle, token) for token in canaries for needle in written_as(token) if len(needle) >= _SHORTEST)
    needles = {needle: f"{NAME}:{id_of(token)}" for needle, token in forms}
    if not needles:
        return viewing(NAME, frozenset({"canary"}), 1, lambda view: (), nowhere, reach=0, holds=NOTHING)
    heads: dict[bytes, list[tuple[bytes, str]]] = {}
    for needle, name in sorted(needles.items()):
        heads.setdefault(needle[:_HEAD], []).append((needle, name))
    how = Implementation.DFA if len(canaries) <= _FEW else Implementation.ContiguousNFA
    automaton, those = BytesAhoCorasick(list(heads), implementation=how), list(heads.values())
    ends, longest = Heads(heads), max(map(len, needles))

    def starts(text: str, start: int) -> int:
        """Where a token may begin at the end of the text."""
        opened = open_blob(text, start)
        low = max(start, len(text) - _LONGEST)
        view = View(text[low:])
        if as_it_is(view):
            return min(opened, low + begin(view.skeleton, len(view.text)))
        cut = low + cut_escape(view.text)
        views = (view, View(text[low:cut])) if cut < len(text) else (view,)
        return min(opened, *(low + begin(each, len(one.text)) for one in views for each in read_as(one)))

    def begin(skeleton: TextSkeleton, end: int) -> int:
        size = len(skeleton.data)
        first = size - ends.at_the_end(skeleton.data)
        if size >= _HEAD:
            for _, at, _ in automaton.find_matches_as_indexes(skeleton.data, overlapping=True):
                if at + longest >= size:
                    first = min(first, at)
                    break
        return skeleton.back(size - first) if first < size else end

    return viewing(
        NAME, frozenset({"canary"}), _LONGEST + 8, lambda view: _find(view, automaton, those), starts, reach=NEAR
    )


_Needles = Sequence[Sequence[tuple[bytes, str]]]
_Places = Iterator[tuple[TextSkeleton, int, int, str]]


def _find(view: View, automaton: BytesAhoCorasick, needles: _Needles) -> Sequence[Finding]:
    findings: dict[tuple[int, int], Finding] = {}
    for skeleton, start, end, name in _written(view, automaton, needles):
        begin, stop = skeleton.span(start, end)
        if stop - begin <= _LONGEST:
            findings[begin, stop] = Finding("canary", begin, stop, 1.0, name)
    for begin, stop, held in blobs(view):
        for _, _, _, name in _written(View(held), automaton, needles):
            findings[begin, stop] = Finding("canary", begin, stop, 1.0, name)
            break
    return outermost(findings.values())


def _written(view: View, automaton: BytesAhoCorasick, needles: _Needles) -> _Places:
    """Where a form of a token is: in which skeleton, its start and end, and the token's id."""
    for skeleton in (view.skeleton,) if as_it_is(view) else read_as(view):
        for index, start, _ in automaton.find_matches_as_indexes(skeleton.data, overlapping=True):
            for needle, name in needles[index]:
                if skeleton.data.startswith(needle, start):
                    yield skeleton, start, start + len(needle), name
