"""Carries out orders on a text that arrives in pieces.

The combined output is exactly `edits.applied` of the whole text, however it is cut. No splitter is needed for that:
whether a character is covered depends on the W characters on either side of it (see `detect.finder`), and what is found
once those findings are removed depends on W more. So a character may leave once 2 W more have arrived. Text that has
left is kept for scanning as far as `detect.stream_window` requires. If finders know where a match may still begin,
everything before that may leave at once: in ordinary prose, everything but the last word. Values that must be known
from end to end need 4 W: W for the match, and W for what overlaps it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyengine.detect.finder import Begins
from policyengine.detect.finding import Finding, moved
from policyengine.detect.match_starts import last_word
from policyengine.detect.stream_window import forgettable, without
from policyengine.release.edits import Edit, Find, edits, found_again, found_beside, settled
from policyengine.release.tokenizing import Keys
from policyengine.release.treatment import Orders

# A text is scanned again once this fraction of the width has arrived, so that a stream costs a few scans, not one a
# chunk.
STEP = 8
SHORTEST_STEP = 32
# Whether no finding that is to be treated begins in a text from one place up to another.
FindsNothing = Callable[[str, int, int], bool]
# The most findings of a stream that are reported; the others are treated all the same.
MOST_FOUND = 10_000


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` may leave in place of the characters from `start` to `end` of the whole. If `literal`, it is these
    characters; otherwise it replaces them."""

    start: int
    end: int
    text: str
    literal: bool = True


class TextStream:
    """One text, piece by piece. `width` is that of the finders behind `find`. `found` are the findings in what has
    left. `quiet` tells whether `find` would find nothing, at a lower cost. The text is scanned once more than `wait`
    characters have arrived."""

    def __init__(
        self,
        find: Find,
        orders: Orders,
        keys: Keys,
        width: int,
        begins: Begins | None = None,
        quiet: FindsNothing | None = None,
        wait: int = 0,
    ) -> None:
        self._find = find
        self._quiet = quiet
        self._begins = begins if orders.treatments else None
        self._orders = orders
        self._keys = keys
        self._width = width
        self._holds = width * (4 if orders.needs_value else 2) if orders.treatments else 0
        self._wait = wait
        self._came = 0
        self._step = max(SHORTEST_STEP, width // STEP) if self._holds else 1
        # The text in sight: what has left already, kept for scans, and from `_done` on what is held.
        self._seen = ""
        self._done = 0
        self._start = 0
        # Where the parts of the text in sight meet.
        self._borders: list[int] = []
        self.found: list[Finding] = []
        # The end of the text in sight that findings can still affect.
        self._matters = 0
        # The replacement of the last character that has left.
        self._run: tuple[str, str] | None = None

    @property
    def held(self) -> int:
        """How many characters are held."""
        return len(self._seen) - self._done

    def feed(self, text: str) -> list[Piece]:
        """What may leave now. Raises the errors of finders and keys; nothing more may leave after one."""
        self._seen += text
        if not self._orders.treatments:
            return self._rest()
        self._came += len(text)
        # With enough characters after them, others are decided, whatever the finders are. Finders that know where a
        # match may begin decide earlier, and are asked once a chunk, or less often (`wait`).
        by_width = self.held >= self._holds + self._step
        if not by_width and (self._begins is None or not text or self._came <= self._wait):
            return []
        self._came = 0
        if not by_width and (passed := self._in_passing()) is not None:
            return passed
        return self._commit(len(self._seen) - self._holds if by_width else self._done)

    def part(self) -> None:
        """Marks the end of a part of the text: a value may end here, or continue in the next part."""
        if self._holds and self._seen and len(self._seen) not in self._borders[-1:]:
            self._borders.append(len(self._seen))

    def finish(self) -> list[Piece]:
        """The rest, because nothing more arrives."""
        return self._commit(len(self._seen)) if self._orders.treatments else self._rest()

    def _rest(self) -> list[Piece]:
        text, self._seen = self._seen, ""
        self._start += len(text)
        return [Piece(self._start - len(text), self._start, text)] if text else []

    def _in_passing(self) -> list[Piece] | None:
        """What may leave, if nothing is found in it and in everything before it; None if it has to be scanned."""
        if self._begins is None or self._quiet is None or self._done < self._matters or self._borders:
            return None
        # Most finders wait for the end of a word anyway, so the complete words are checked first.
        words = self._seen[: last_word(self._seen, self._done)]
        if len(words) <= self._done:
            words = self._seen
        until = decided = self._begins(words, self._done)
        if until < len(words) or len(words) == len(self._seen):
            # A finding that begins there may leave; then something else begins before it.
            until = self._begins(words[:until], self._done)
        if until <= self._done:
            return []
        if not self._quiet(self._seen, self._done, decided):
            return None
        pieces: list[Piece] = []
        self._literal(self._done, until, pieces)
        self._done = until
        self._forget(())
        return pieces

    def _commit(self, until: int) -> list[Piece]:
        """Releases the text in sight up to `until`, or farther if that is decided."""
        last = until == len(self._seen)
        borders = self._borders[: bisect_left(self._borders, len(self._seen))]
        first = found_beside(self._seen, borders, self._find)
        if self._begins is not None and not last:
            until = max(until, self._settled(first, self._begins))
        if until == self._done and not last:
            return []
        findings_there = found_again(self._seen, first, self._find, borders)
        changes = edits(self._seen, findings_there, self._orders, self._keys, self._width)
        pieces: list[Piece] = []
        at = self._done
        for edit in changes:
            # Text that has left is in sight only as context.
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
        self._note(findings_there, until)
        # One W for a match that overlaps it, and one for what is found once both are removed.
        self._matters = max((finding.end + 2 * self._width for finding in findings_there), default=self._matters)
        self._done = until
        self._forget(findings_there)
        return pieces

    def _settled(self, first: Sequence[Finding], begins: Begins) -> int:
        """The end of the text in which everything is decided, whatever follows: the findings, and those that appear
        once these are removed."""
        until = self._begun(self._seen, begins)
        if self._borders and any(finding.start < until for finding in first):
            # Once the findings are removed, other parts may meet; so this waits for the width.
            return self._done
        if any(finding.start < until for finding in first):
            until = settled(self._seen, [finding for finding in first if finding.start < until], until, begins)
        else:
            until = self._begun(self._seen[:until], begins)
        if self._orders.needs_value:
            # A value is written once everything that overlaps it is known.
            for finding in sorted(first, key=lambda each: each.start, reverse=True):
                if finding.start < until < finding.end:
                    until = finding.start
        return max(until, self._done)

    def _begun(self, text: str, begins: Begins) -> int:
        """The place from which on a match may still begin, if this beginning of the text continues, or its last part
        does."""
        until = begins(text, self._done)
        if number := bisect_left(self._borders, len(text)):
            border = self._borders[number - 1]
            until = min(until, border + begins(text[border:], max(self._done - border, 0)))
        return until

    def _edit(self, edit: Edit, at: int, until: int, pieces: list[Piece]) -> int:
        if edit.start > at:
            self._literal(at, edit.start, pieces)
            at = edit.start
        # One text replaces a run, even if its characters leave in several pieces.
        goes_on = edit.run is not None and edit.run == self._run
        pieces.append(Piece(self._start + at, self._start + until, "" if goes_on else edit.text, literal=False))
        self._run = edit.run
        return until

    def _literal(self, start: int, end: int, pieces: list[Piece]) -> None:
        pieces.append(Piece(self._start + start, self._start + end, self._seen[start:end]))
        self._run = None

    def _note(self, found: Sequence[Finding], until: int) -> None:
        """Keeps the findings that begin in what leaves now."""
        self.found += (
            moved(finding, finding.start + self._start, finding.end + self._start)
            for finding in found
            if self._done <= finding.start < until and len(self.found) < MOST_FOUND
        )

    def _forget(self, found: Sequence[Finding]) -> None:
        """Drops the text that nothing later can depend on. For a match that goes on, its beginning is kept."""
        parts = forgettable(found, self._done, self._width)
        dropped = sum(end - start for start, end in parts)
        self._seen = without(self._seen, parts)
        if self._borders and parts:
            self._borders = [
                border - sum(min(end, border) - start for start, end in parts if start < border)
                for border in self._borders
                if not any(start < border < end for start, end in parts)
            ]
            self._borders = [border for border in self._borders if border]
        self._done -= dropped
        self._matters -= dropped
        self._start += dropped
