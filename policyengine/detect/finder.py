"""What a finder is, and the law that makes streams exact.

A finder is a pure function of a text, with the kinds it can find and a width W in code points. W is the longest match
that it has, its surroundings included. Two things hold of it:

* Local. A match shorter than W depends on nothing farther than W away: for every part `text[a:b]`, what is found in
  it from `a + W` on (from the beginning, if `a` is 0) and up to `b - W` (to the end, if `b` is the text's end) is what
  is found there in the whole text.
* Covered. A match that reaches W is found, whatever follows, and goes on to the end of its run. That it begins where it
  does is decided within W; that it goes on to a character, by the W characters before it. So all but the first W and
  the last W characters of what has come of it can be left out, and it ends where it ended:
  `stream_window.forgettable` says what somebody who reads a stream need not keep.

Matches may overlap, and each is found by itself: no match is lost because another began before it.

A finder may know more of its matches than how long they are: `begins` says from where on one may still begin, whatever
follows. Then:

* Settled. What `find(text + more)` finds that begins before `begins(text, start)`, and at `start` or later, is what
  `find(text)` finds there, for every `more`.

Five more things are told so that little has to be read where nothing is to be found:

* Near. What begins at `start` or later is found in `text[start - reach:]` as well. More than that may be.
* Held. Every match has something in it that the expression `holds` matches.
* Opened. Where the expression `opens` matches nothing in `text[start:]`, `begins(text, start)` is not before the last
  word.
* Signed. Where one of the expressions `signs`, which are RE2, matches nothing in the shadow of a text, nothing is found
  in it.
* Only. `only(kinds)` is a finder of what this one finds of these kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyengine.detect.finding import Finding
from policyengine.detect.view import View

# From a text, and a place in it, to where from there on a match may still begin or turn out to be another.
Begins = Callable[[str, int], int]
# What holds of finders: that each match has a digit in it, and that there is none.
DIGITS = "[0-9]"
NOTHING = "(?!)"
# How far finders look back: finders that look back as far as others read the same part of a text.
NEAR, FAR = 32, 128


@dataclass(frozen=True, slots=True)
class Finder:
    """`width` None: the finder reads the whole text, and can be given nothing less. `name` is the `detector` of its
    findings. `find` may raise: that is an error of whatever needed the finder. `begins` None: no more is known than
    `width` says. `look` is
    `find` for a text of which others have read something already; the finders that are built in have it. `reach` None:
    as far as `width`. `holds` and `opens` None, and no `signs`: whatever there is. `only` None: it is asked as a
    whole."""

    name: str
    kinds: frozenset[str]
    width: int | None
    find: Callable[[str], Sequence[Finding]]
    begins: Begins | None = None
    look: Callable[[View], Sequence[Finding]] | None = None
    reach: int | None = None
    holds: str | None = None
    opens: str | None = None
    signs: tuple[bytes, ...] = ()
    only: Callable[[frozenset[str]], Finder] | None = None


def viewing(
    name: str,
    kinds: frozenset[str],
    width: int,
    look: Callable[[View], Sequence[Finding]],
    begins: Begins | None = None,
    *,
    reach: int | None = None,
    holds: str | None = None,
    opens: str | None = None,
    signs: tuple[bytes, ...] = (),
    only: Callable[[frozenset[str]], Finder] | None = None,
) -> Finder:
    """A finder that reads a View."""
    return Finder(name, kinds, width, lambda text: look(View(text)), begins, look, reach, holds, opens, signs, only)


class DetectorFailed(Exception):
    """A finder did not answer, or not with findings in this text. Nothing may be concluded from its silence.

    The message names the finder, and never shows the text or what the finder said of it."""

    def __init__(self, detector: str, why: str = "failed") -> None:
        super().__init__(f"detector `{detector}` {why}")
        self.detector = detector


class Unanswered(Exception):
    """A finder of somebody else's was not asked, or did not answer in time. The message says which, and no value."""


class UnknownKind(DetectorFailed):
    """A kind that no finder of this registry finds."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, "is not a kind that a finder finds")
        self.kind = kind
