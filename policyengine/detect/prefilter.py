"""Which finders are worth asking about a short text, and which of many texts are worth asking about. One pass over the
text answers this for all finders that describe their findings.

`Finder.signs` are expressions over the shadow of a text: if one of them does not match, the finder finds nothing. RE2
searches for all of them at once. If it lacks the memory for that, every finder is asked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import re2

from policyengine.detect.finder import Finder
from policyengine.detect.shadow import shadow

# Takes the shadow of a text. Returns those of some finders that may find something.
WhichFinders = Callable[[bytes], tuple[Finder, ...]]
# The numbers of those texts in which something may be found.
WhichTexts = Callable[[Sequence[str]], Iterator[int]]
_MOST_KNOWN = 1_024
_BETWEEN = "\0\n"


def _options() -> Any:
    options = re2.Options()
    # A shadow has one byte for each character; read as UTF-8, places would no longer be those of the text.
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = 1 << 25
    return options


def worth(finders: tuple[Finder, ...]) -> WhichFinders:
    """For finders that have signs."""
    if not finders:
        return lambda data: ()
    signs: Any = re2.Set.SearchSet(_options())
    owners = [(finder, frozenset(signs.Add(sign) for sign in finder.signs)) for finder in finders]
    # The empty expression matches every text, so if it is missing the search was given up.
    searched = signs.Add(b"")
    signs.Compile()
    search, none = signs.Match, [searched]
    # By the signs that matched. Few combinations occur, since most texts match none.
    known: dict[tuple[int, ...], tuple[Finder, ...]] = {}

    def select(data: bytes) -> tuple[Finder, ...]:
        sign = search(data)
        if sign == none:
            return ()
        if sign is None or searched not in sign:
            return finders
        matched = tuple(sign)
        selected = known.get(matched)
        if selected is None:
            selected = tuple(finder for finder, needs in owners if needs.issubset(matched))
            if len(known) < _MOST_KNOWN:
                known[matched] = selected
        return selected

    return select


def where(finders: tuple[Finder, ...]) -> WhichTexts:
    """For finders that have signs. The first sign of each matches nothing that contains NUL and a line break. The texts
    are searched as one, with these two characters between them; the line break counts as part of the next text, so that
    what a sign requires before a match is in the same text. A match ends before the next NUL, so a text has one match
    or, if it contains NUL itself, a few."""
    signs = b"|".join(b"(?:" + finder.signs[0] + b")" for finder in finders)
    matches = re2.compile(b"(?:" + signs + rb")[^\x00]*", _options()).finditer

    def select(texts: Sequence[str]) -> Iterator[int]:
        starts = [0, *accumulate(len(text) + len(_BETWEEN) for text in texts)]
        last = -1
        for match in matches(shadow(_BETWEEN[1:] + _BETWEEN.join(texts))):
            index = bisect_right(starts, match.start()) - 1
            if index != last:
                yield index
                last = index

    return select
