"""What rules that cut a stream see of it: each of its texts so far, scanned once.

A text passes only when everything that begins in it has been found, so the rules are evaluated on it before any of it
leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from policyengine.detect.finder import Begins
from policyengine.detect.finding import Finding, moved
from policyengine.detect.stream_window import forgettable, without
from policyengine.model.decision import Decision
from policyengine.release.content import Content, Segment, Unscannable, text_content, too_long
from policyengine.release.edits import Find
from policyengine.release.scanning import ContentFinding
from policyengine.release.text_stream import MOST_FOUND, SHORTEST_STEP, STEP

# Above this many findings, or if rules read the text itself, they are evaluated again after an eighth more has arrived.
OFTEN = 1_000
SHARE = 8
# With classifiers, at least this many more characters must have arrived: each evaluation takes as long as they do.
LEAST = 256


@dataclass(frozen=True, slots=True)
class StreamSoFar:
    """What has arrived of a stream. `text` is empty if no rule reads it."""

    found: tuple[ContentFinding, ...]
    size: int
    content: Content


class CutOff(Exception):
    """A rule holds for what has arrived: nothing more may leave."""

    def __init__(self, decision: Decision, found: tuple[ContentFinding, ...]) -> None:
        super().__init__("the stream is cut")
        self.decision = decision
        self.found = found


class WatchedText:
    """One text, as it arrives. `width` is that of the finders behind `find`; `begins` is theirs, if they have one. The
    text is scanned once more than `wait` characters have arrived."""

    def __init__(self, find: Find, width: int, begins: Begins | None = None, wait: int = 0) -> None:
        self._find = find
        self._begins = begins
        self._width = width
        self._step = max(SHORTEST_STEP, width // STEP) if width else 1
        self._wait = wait
        self._came = 0
        self._seen = ""
        self._done = 0
        self._start = 0
        self.found: list[Finding] = []

    def feed(self, text: str) -> str:
        """The part that has been scanned, and passes on. Raises the finders' errors."""
        if not self._width:
            return text
        self._seen += text
        held = len(self._seen) - self._done
        if held >= 2 * self._width + self._step:
            return self._pass(len(self._seen) - 2 * self._width)
        self._came += len(text)
        if self._begins is None or self._came <= self._wait or not text:
            return ""
        until = self._begins(self._seen, self._done)
        return self._pass(until) if until > self._done else ""

    def finish(self) -> str:
        """The rest."""
        return self._pass(len(self._seen)) if self._width else ""

    def _pass(self, until: int) -> str:
        self._came = 0
        findings: Sequence[Finding] = self._find(self._seen)
        self.found += (
            moved(one, one.start + self._start, one.end + self._start)
            for one in findings
            if self._done <= one.start < until and len(self.found) < MOST_FOUND
        )
        text = self._seen[self._done : until]
        self._done = until
        parts = forgettable(findings, until, self._width)
        dropped = sum(end - start for start, end in parts)
        self._seen = without(self._seen, parts)
        self._done -= dropped
        self._start += dropped
        return text


class Watch:
    """All texts of a stream. `judge` is called with what has arrived, and raises CutOff. With `keeps` the texts are
    kept, up to `most` characters, and `judge` is called again once `least` more have arrived."""

    def __init__(
        self,
        looked: Callable[[], WatchedText],
        judge: Callable[[StreamSoFar], None],
        keeps: bool,
        most: int,
        least: int = 0,
    ) -> None:
        self._make = looked
        self._judge = judge
        self._keeps = keeps
        self._most = most
        self._least = least
        self._watched_texts: dict[str, WatchedText] = {}
        self._kept: dict[str, list[str]] = {}
        self._size = 0
        self._asked = (0, 0)

    def feed(self, name: str, text: str) -> str:
        """What passes of the text that continues under this name. Raises CutOff, Unscannable, and the finders'
        errors."""
        if name not in self._watched_texts:
            self._watched_texts[name] = self._make()
            self._kept[name] = []
        return self._passed(name, self._watched_texts[name].feed(text))

    def finish(self) -> dict[str, str]:
        """The rest of each text. What depends on the whole is decided before any of this leaves."""
        rest = self.look()
        self._judge(self._come())
        return rest

    def look(self) -> dict[str, str]:
        """The rest of each text, after a scan. No rule is evaluated on it."""
        rest = {name: looked.finish() for name, looked in self._watched_texts.items()}
        for name, text in rest.items():
            self._add(name, text)
        return rest

    @property
    def found(self) -> dict[str, list[Finding]]:
        """The findings in each of the texts."""
        return {name: looked.found for name, looked in self._watched_texts.items()}

    def _passed(self, name: str, text: str) -> str:
        self._add(name, text)
        count = sum(len(looked.found) for looked in self._watched_texts.values())
        before, size = self._asked
        grown = count - before > (0 if count <= OFTEN else before // SHARE)
        if self._size - size < self._least:
            return text
        if grown or self._size - size > (size // SHARE if self._keeps else 0):
            self._asked = (count, self._size)
            self._judge(self._come())
        return text

    def _add(self, name: str, text: str) -> None:
        self._size += len(text)
        if self._keeps:
            if self._size > self._most:
                raise Unscannable(too_long(self._most))
            self._kept[name].append(text)

    def _come(self) -> StreamSoFar:
        several = len(self._watched_texts) > 1
        findings = tuple(
            ContentFinding(one.kind, one.start, one.end, one.score, one.detector, f"/{name}" if several else "")
            for name, watched in self._watched_texts.items()
            for one in watched.found
        )
        texts = {name: "".join(parts) for name, parts in self._kept.items()}
        if len(texts) < 2:
            content = text_content(next(iter(texts.values()), ""))
        else:
            segments = tuple(Segment(text, path=f"/{name}") for name, text in texts.items())
            content = Content(segments, list)
        return StreamSoFar(findings, self._size, content)
