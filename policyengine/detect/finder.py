"""What a finder is, and the law that makes streams exact.

A finder is a pure function of a text, with the kinds it can find and a width W in code points. W is the length of its
longest match, including the surroundings that decide about it. Two properties hold:

* Local. A match shorter than W depends on nothing farther than W away: for every part `text[a:b]`, the findings in it
  from `a + W` on (from the beginning, if `a` is 0) and up to `b - W` (to the end, if `b` is the text's end) are the
  findings there in the whole text.
* Covered. A match that reaches W is found, whatever follows, and goes on to the end of its run. Where it begins is
  decided within W; whether it goes on to a character, by the W characters before that one. So all but its first W and
  its last W characters so far can be left out, and it still ends in the same place: `stream_window.forgettable` says
  what the reader of a stream need not keep.

Matches may overlap, and each is found by itself: no match is lost because another began before it.

A finder may know more about its matches than their length: `begins` gives the place from which on one may still begin,
whatever follows. Then:

* Settled. What `find(text + more)` finds that begins before `begins(text, start)`, and at `start` or later, is what
  `find(text)` finds there, for every `more`.

Five more properties save reading where there is nothing to find:

* Near. A finding that begins at `start` or later is also found in `text[start - reach:]`, perhaps among others.
* Held. Every match contains a match of the expression `holds`.
* Opened. If the expression `opens` matches nothing in `text[start:]`, `begins(text, start)` is not before the last
  word.
* Signed. If one of the expressions `signs`, which are RE2, matches nothing in the shadow of a text, there are no
  findings in it.
* Only. `only(kinds)` is a finder that gives this one's findings of these kinds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyengine.detect.finding import Finding
from policyengine.detect.view import View

# Takes a text, and a place in it. Returns the place from which on a match may still begin or become a different one.
Begins = Callable[[str, int], int]
# A value of `holds`: each match contains a digit.
DIGITS = "[0-9]"
NOTHING = "(?!)"
# How far finders look back. Finders with the same reach can share a part of the text.
NEAR, FAR = 32, 128


@dataclass(frozen=True, slots=True)
class Finder:
    """`width` None: the finder needs the whole text. `name` is the `detector` of its findings. `find` may raise;
    whatever needed the finder then fails. `begins` None: only `width` is known. `look` is `find` for a View, in which
    other finders have read some of the text already; built-in finders have it. `reach` None: as far as `width`. `holds`
    and `opens` None, and no `signs`: the finder always has to be asked. `only` None: it cannot be limited to some of
    its kinds. `reads_marks`: it looks for texts of the host, in which the words of a mark such as `[email]` may stand;
    the View of any other has none of these words."""

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
    reads_marks: bool = False


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
    reads_marks: bool = False,
) -> Finder:
    """A finder that reads a View."""
    return Finder(
        name, kinds, width, lambda text: look(View(text)), begins, look, reach, holds, opens, signs, only, reads_marks
    )


class DetectorFailed(Exception):
    """A finder did not answer, or gave findings that are not in this text. Its silence proves nothing.

    The message names the finder, and never shows the text or the finder's own message."""

    def __init__(self, detector: str, why: str = "failed") -> None:
        super().__init__(f"detector `{detector}` {why}")
        self.detector = detector


class Unanswered(Exception):
    """A plugged-in finder was not asked, or did not answer in time. The message says which, and no value."""


class UnknownKind(DetectorFailed):
    """A kind that no finder of this registry finds."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind, "is not a kind that a finder finds")
        self.kind = kind
