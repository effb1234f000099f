"""Canaries: tokens of 256 bits that stand in a system prompt, a document or a tenant's data, and nowhere else.

Whoever sees one in an output knows that what it stood in has leaked. It is found as it is, in any case, reversed,
spaced or joined by invisible characters; in base64 at each offset, hexadecimal, percent encoding, HTML, Unicode and
octal escapes, whatever separates the characters there, also where only some of them are escaped, or are twice; in one
such code within another; with letters of other alphabets that look alike; and with each letter moved by 13.
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
from policyengine.detect.nested import outermost
from policyengine.detect.skeleton import Skeleton
from policyengine.detect.unescaped import cut_escape, read_as
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
        return viewing(NAME, frozenset({"canary"}), 1, lambda view: (), nowhere)
    heads: dict[bytes, list[bytes]] = {}
    for needle in needles:
        heads.setdefault(needle[:_HEAD], []).append(needle)
    automaton, those = BytesAhoCorasick(list(heads), implementation=Implementation.DFA), list(heads.values())
    ends, longest = Heads(heads), max(map(len, needles))

    def starts(text: str, start: int) -> int:
        """What may be a token's beginning at the end of the text."""
        low = max(start, len(text) - _LONGEST)
        cut = cut_escape(text[low:])
        views = (View(text[low:]), View(text[low : low + cut]))
        return min(low + begin(each, len(view.text)) for view in views for each in read_as(view))

    def begin(skeleton: Skeleton, end: int) -> int:
        size = len(skeleton.data)
        first = size - ends.at_the_end(skeleton.data)
        for _, at, _ in automaton.find_matches_as_indexes(skeleton.data, overlapping=True):
            if at + longest >= size:
                first = min(first, at)
                break
        return skeleton.span(first, first + 1)[0] if first < size else end

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
        found |= _in_base64(plain)
    plain = token.encode()
    raw = base64.b32decode(token.upper() + "====")
    wide = token.encode("utf-16-be")
    for nested in (base64.b64encode(plain), plain.hex().encode(), raw, wide, token.encode("utf-16-le")):
        found |= _in_base64(nested) | {nested.hex()}
    found |= {_kept(code(plain).decode()) for code in (base64.b85encode, base64.a85encode)}
    found |= {"".join(f"{c:08b}" for c in plain), "".join(f"{c:b}" for c in plain), "".join(f"{c:03o}" for c in plain)}
    # Each of them written backwards as well.
    return {each.encode() for needle in found for each in (needle, needle[::-1])}


def _in_base64(plain: bytes) -> set[str]:
    """At each offset, without the characters that also say something of the neighbours."""
    coded = [base64.b64encode(b"\0" * offset + plain).decode().rstrip("=") for offset in range(3)]
    return {_kept(text[(0, 2, 3)[offset] : -1]) for offset, text in enumerate(coded)}


def _kept(text: str) -> str:
    return "".join(c for c in text if c.isalnum()).lower()


def _find(view: View, automaton: BytesAhoCorasick, needles: Sequence[Sequence[bytes]]) -> Sequence[Finding]:
    found: dict[tuple[int, int], Finding] = {}
    for skeleton in read_as(view):
        for index, start, _ in automaton.find_matches_as_indexes(skeleton.data, overlapping=True):
            for needle in needles[index]:
                if not skeleton.data.startswith(needle, start):
                    continue
                begin, stop = skeleton.span(start, start + len(needle))
                if stop - begin <= _LONGEST:
                    found[begin, stop] = Finding("canary", begin, stop, 1.0, NAME)
    return outermost(found.values())
