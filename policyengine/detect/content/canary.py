"""Canaries: tokens of 256 bits that stand in a system prompt, a document or a tenant's data, and nowhere else.

Whoever sees one in an output knows that what it stood in has leaked. It is found as it is, in any case, reversed,
spaced or joined by invisible characters; in base64 at each offset, hexadecimal, percent encoding, HTML and Unicode
escapes, whatever separates the characters there, and with each letter moved by 13.
"""

from __future__ import annotations

import base64
import codecs
import re
from collections.abc import Sequence

from ahocorasick_rs import BytesAhoCorasick, Implementation

from policyengine.detect.beginnings import Heads, nowhere
from policyengine.detect.finder import Finder, viewing
from policyengine.detect.finding import Finding
from policyengine.detect.view import View

NAME = "canary"
BYTES = 32
_LONGEST = 1024
"""What a token may take in a text, whatever stands between its characters."""
_HEAD = 12
"""So much of each form is looked for in all of a text. The rest is compared where that is found."""
_TOKEN = re.compile(r"[a-z2-7]{52}")


def mint(random_bytes: bytes) -> str:
    """The token of 32 random bytes. Raises ValueError if there are not 32."""
    if len(random_bytes) != BYTES:
        raise ValueError("a canary has 256 bits")
    return base64.b32encode(random_bytes).decode().rstrip("=").lower()


def finder(canaries: Sequence[str]) -> Finder:
    """Raises ValueError for what `mint` did not make: a word that texts have would be found everywhere."""
    for token in canaries:
        if not _TOKEN.fullmatch(token):
            raise ValueError("not a canary")
    needles = sorted({needle for token in canaries for needle in _needles(token)})
    if not needles:
        return Finder(NAME, frozenset({"canary"}), 1, lambda text: (), nowhere)
    heads: dict[bytes, list[bytes]] = {}
    for needle in needles:
        heads.setdefault(needle[:_HEAD], []).append(needle)
    automaton, those = BytesAhoCorasick(list(heads), implementation=Implementation.DFA), list(heads.values())
    ends, longest = Heads(heads), max(map(len, needles))

    def starts(text: str, start: int) -> int:
        """What may be a token's beginning at the end of the text."""
        low = max(start, len(text) - _LONGEST)
        skeleton = View(text[low:]).skeleton
        size = len(skeleton.data)
        first = size - ends.at_the_end(skeleton.data)
        for _, at, _ in automaton.find_matches_as_indexes(skeleton.data, overlapping=True):
            if at + longest >= size:
                first = min(first, at)
                break
        return low + skeleton.span(first, first + 1)[0] if first < size else len(text)

    return viewing(NAME, frozenset({"canary"}), _LONGEST + 8, lambda view: _find(view, automaton, those), starts)


def _needles(token: str) -> set[bytes]:
    """The skeletons of everything that the token may be written as."""
    found: set[str] = set()
    for written in (token, token.upper(), token[::-1], token[::-1].upper(), codecs.encode(token, "rot13")):
        plain = written.encode()
        found |= {
            written.lower(),
            plain.hex(),
            "".join(f"x{c:02x}" for c in plain),
            "".join(f"0x{c:02x}" for c in plain),
            "".join(str(c) for c in plain),
            "".join(f"u{c:04x}" for c in plain),
            "".join(f"x{c:04x}" for c in plain),
            base64.b32encode(plain).decode().rstrip("=").lower()[:-1],
        }
        for offset in range(3):
            coded = base64.b64encode(b"\0" * offset + plain).decode().rstrip("=")
            # Without the characters that also say something of the neighbours.
            found.add(coded[(0, 2, 3)[offset] : -1].lower())
    return {needle.encode() for needle in found}


def _find(view: View, automaton: BytesAhoCorasick, needles: Sequence[Sequence[bytes]]) -> Sequence[Finding]:
    skeleton = view.skeleton
    found: dict[tuple[int, int], Finding] = {}
    for index, start, _ in automaton.find_matches_as_indexes(skeleton.data, overlapping=True):
        for needle in needles[index]:
            if not skeleton.data.startswith(needle, start):
                continue
            begin, stop = skeleton.span(start, start + len(needle))
            if stop - begin <= _LONGEST:
                found[begin, stop] = Finding("canary", begin, stop, 1.0, NAME)
    return list(found.values())
