"""Which finders a short text is worth asking, and which of many texts is worth it: a pass over the text tells it of all
finders that say what their findings look like.

`Finder.signs` are expressions over the shadow of a text: where one of them matches nowhere, the finder finds nothing.
RE2 looks for all of them at once. Should it lack the memory for that, every finder is asked.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import re2

from policyengine.detect.finder import Finder
from policyengine.detect.shadow import shadow

# Which of some finders may find something, by the shadow of a text.
Worth = Callable[[bytes], tuple[Finder, ...]]
# In which of some texts something may be found.
Where = Callable[[Sequence[str]], Iterator[int]]
_MOST_KNOWN = 1_024
_BETWEEN = "\0\n"


def _options() -> Any:
    options = re2.Options()
    # A shadow has a byte for each character, so that places are those of the text: in UTF-8 they would move.
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = 1 << 25
    return options


def worth(finders: tuple[Finder, ...]) -> Worth:
    """Of finders that have signs."""
    if not finders:
        return lambda data: ()
    signs: Any = re2.Set.SearchSet(_options())
    owners = [(finder, frozenset(signs.Add(sign) for sign in finder.signs)) for finder in finders]
    # Is found in every text, unless the search was given up.
    searched = signs.Add(b"")
    signs.Compile()
    search, none = signs.Match, [searched]
    # By what was found: few combinations are, as most of them say nothing.
    known: dict[tuple[int, ...], tuple[Finder, ...]] = {}

    def those(data: bytes) -> tuple[Finder, ...]:
        sign = search(data)
        if sign == none:
            return ()
        if sign is None or searched not in sign:
            return finders
        there = tuple(sign)
        asked = known.get(there)
        if asked is None:
            asked = tuple(finder for finder, needs in owners if needs.issubset(there))
            if len(known) < _MOST_KNOWN:
                known[there] = asked
        return asked

    return those


def where(finders: tuple[Finder, ...]) -> Where:
    """Of finders that have signs, the first of which matches nothing that goes over NUL and a line break. The texts are
    looked at as one, with these between two, and the line break is the next one's: what a sign has before a match is in
    the text of the match. A match goes on to the next NUL, so that a text has one or, with a NUL in it, few."""
    signs = b"|".join(b"(?:" + finder.signs[0] + b")" for finder in finders)
    matches = re2.compile(b"(?:" + signs + rb")[^\x00]*", _options()).finditer

    def those(texts: Sequence[str]) -> Iterator[int]:
        starts = [0, *accumulate(len(text) + len(_BETWEEN) for text in texts)]
        last = -1
        for match in matches(shadow(_BETWEEN[1:] + _BETWEEN.join(texts))):
            index = bisect_right(starts, match.start()) - 1
            if index != last:
                yield index
                last = index

    return those
