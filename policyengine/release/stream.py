"""Carrying out orders on a text that comes in pieces.

What comes out, put together, is exactly `edits.applied` of the whole, for every way to cut it. That needs no splitter
of its own: whether a character is covered depends on the W characters on either side of it (see `detect.finder`), and
what is found once those are gone on W more. So a character may go once 2 W more have come. What has gone is kept to
look at as far as `detect.apart` says. Where a value has to be known from end to end it is 4 W: one for the match, one
for what overlaps it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policyengine.detect.apart import forgettable, without
from policyengine.detect.finding import Finding
from policyengine.release.edits import Edit, Find, edits, found_in
from policyengine.release.keys import Keys
from policyengine.release.treatment import Orders

# A text is looked at again once this part of the width has come, so that a stream costs a few looks, not one a chunk.
STEP = 8
SHORTEST_STEP = 32
# So many findings of a stream are told; the others are treated all the same.
MOST_FOUND = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` may go in the place of the characters from `start` to `end` of the whole. It is they, where it is
    `literal`, or stands for them."""

    start: int
    end: int
    text: str
    literal: bool = True


class Treating:
    """One text, piece by piece. `width` is that of the finders behind `find`. `found` is what was found in what has
    gone."""

    def __init__(self, find: Find, orders: Orders, keys: Keys, width: int) -> None:
        self._find = find
        self._orders = orders
        self._keys = keys
        self._width = width
        self._holds = width * (4 if orders.needs_value else 2) if orders.treatments else 0
        self._step = max(SHORTEST_STEP, width // STEP) if self._holds else 1
        # The text in sight: what has gone already, to look at, and from `_done` on what is held.
        self._seen = ""
        self._done = 0
        self._start = 0
        self.found: list[Finding] = []
        # What stands in the place of the last character that has gone.
        self._run: tuple[str, str] | None = None

    @property
    def held(self) -> int:
        """How many characters are held."""
        return len(self._seen) - self._done

    def feed(self, text: str) -> list[Piece]:
        """What may go now. Raises what the finders and keys raise; nothing more may go then."""
        self._seen += text
        if not self._orders.treatments:
            return self._plain()
        if self.held < self._holds + self._step:
            return []
        return self._commit(len(self._seen) - self._holds)

    def finish(self) -> list[Piece]:
        """The rest, as nothing more comes."""
        return self._commit(len(self._seen)) if self._orders.treatments else self._plain()

    def _plain(self) -> list[Piece]:
        text, self._seen = self._seen, ""
        self._start += len(text)
        return [Piece(self._start - len(text), self._start, text)] if text else []

    def _commit(self, until: int) -> list[Piece]:
        """Let go of what is in sight up to `until`."""
        found = found_in(self._seen, self._find)
        changes = edits(self._seen, found, self._orders, self._keys, self._width)
        last = until == len(self._seen)
        pieces: list[Piece] = []
        at = self._done
        for edit in changes:
            if edit.end <= at:
                continue
            if edit.start >= until:
                break
            if edit.run is None and edit.end > until and not last:
                # A value is written once it is known from end to end.
                until = max(edit.start, at)
                break
            at = self._edit(edit, at, min(edit.end, until), pieces)
        if at < until:
            self._literal(at, until, pieces)
        until = max(at, until)
        self._note(found, until)
        self._done = until
        self._forget(found)
        return pieces

    def _edit(self, edit: Edit, at: int, until: int, pieces: list[Piece]) -> int:
        if edit.start > at:
            self._literal(at, edit.start, pieces)
            at = edit.start
        goes_on = edit.run is not None and edit.run == self._run
        pieces.append(Piece(self._start + at, self._start + until, "" if goes_on else edit.text, literal=False))
        self._run = edit.run
        return until

    def _literal(self, start: int, end: int, pieces: list[Piece]) -> None:
        pieces.append(Piece(self._start + start, self._start + end, self._seen[start:end]))
        self._run = None

    def _note(self, found: Sequence[Finding], until: int) -> None:
        """Keep what begins in what goes now."""
        self.found += (
            replace(one, start=one.start + self._start, end=one.end + self._start)
            for one in found
            if self._done <= one.start < until and len(self.found) < MOST_FOUND
        )

    def _forget(self, found: Sequence[Finding]) -> None:
        """Leave out what nothing that comes can depend on. Of a match that goes on, its beginning is kept."""
        parts = forgettable(found, self._done, self._width)
        gone = sum(end - start for start, end in parts)
        self._seen = without(self._seen, parts)
        self._done -= gone
        self._start += gone
