"""A stream of chunks, released as it arrives or, if the rules need all of it, when it has ended.

Each kind of text in the stream (text or reasoning, per choice) is one text, however many messages and blocks it spans,
so that a value that begins in one chunk and ends in the next is one value. Chunks leave in the order in which they
arrived, each as soon as its text may. Chunks that call tools come last and unchanged: no tool may run on what a later
check would stop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from policyengine.detect.finding import Finding
from policyengine.release.content import Content, Segment, Unscannable, too_long
from policyengine.release.deltas import Delta, read
from policyengine.release.scanning import ContentFinding
from policyengine.release.stream_watch import Watch
from policyengine.release.text_stream import Piece, TextStream


@dataclass(slots=True)
class _Waiting:
    """A chunk, and the result for each of its texts. `ends` are where they end in their channels."""

    delta: Delta
    ends: list[tuple[str, int]]
    parts: list[list[str]] = field(default_factory=list)


@dataclass(slots=True)
class _Channel:
    treating: TextStream
    # Its texts that have not completely left: the start and end of each, and the list that collects its result.
    open: deque[tuple[int, int, list[str]]] = field(default_factory=deque)
    size: int = 0
    gone: int = 0
    block: str = ""


class Chunks:
    """Takes chunks and returns chunks. `most` is how many characters may be held at a time; `watch` sees each text
    first, and may end it."""

    def __init__(
        self, treating: Callable[[], TextStream], most: int, truncate: int | None = None, watch: Watch | None = None
    ) -> None:
        self._make = treating
        self._watch = watch
        self._most = most
        self._left = truncate
        self._channels: dict[str, _Channel] = {}
        self._waiting: deque[_Waiting] = deque()
        self._calls: list[Any] = []
        self._held = 0

    @property
    def found(self) -> tuple[ContentFinding, ...]:
        """The findings in what has left, and in what the watch has scanned."""
        every: dict[str, list[Finding]] = {name: [*one.treating.found] for name, one in self._channels.items()}
        for name, those in (self._watch.found if self._watch is not None else {}).items():
            every.setdefault(name, []).extend(those)
        return tuple(dict.fromkeys(
            ContentFinding(one.kind, one.start, one.end, one.score, one.detector, self._path(name))
            for name, those in every.items()
            for one in those
        ))  # fmt: skip

    def gone(self) -> dict[str, int]:
        """By path, the end of the part of each text that may have left."""
        return {self._path(name): channel.gone for name, channel in self._channels.items()}

    def look(self) -> None:
        """Scans the rest, which is not released."""
        rest = {} if self._watch is None else self._watch.look()
        for name, channel in self._channels.items():
            channel.treating.feed(rest.get(name, ""))
            channel.treating.finish()

    def _path(self, name: str) -> str:
        return f"/{name}" if len(self._channels) > 1 else ""

    def feed(self, chunk: Any) -> list[Any]:
        """What may leave now. Raises Unscannable, and the errors of finders and keys."""
        delta = read(chunk)
        if delta.calls_tool:
            self._calls.append(chunk)
            return []
        waiting = _Waiting(delta, [])
        self._waiting.append(waiting)
        for (name, text), block in zip(delta.texts, delta.blocks, strict=True):
            channel = self._channel(name)
            if text and block != channel.block:
                if self._watch is None:
                    channel.treating.part()
                channel.block = block
            parts: list[str] = []
            waiting.parts.append(parts)
            if text:
                # An empty text may have left already: it never holds the replacement of a match.
                channel.open.append((channel.size, channel.size + len(text), parts))
            channel.size += len(text)
            self._held += len(text)
            waiting.ends.append((name, channel.size))
            passed = text if self._watch is None else self._watch.feed(name, text)
            self._place(channel, channel.treating.feed(passed))
        if self._held > self._most:
            raise Unscannable(too_long(self._most))
        return self._ready()

    def finish(self) -> list[Any]:
        """The rest."""
        rest = {} if self._watch is None else self._watch.finish()
        for name, channel in self._channels.items():
            self._place(channel, channel.treating.feed(rest.get(name, "")))
            self._place(channel, channel.treating.finish())
        return [*self._ready(), *self._calls]

    def _channel(self, name: str) -> _Channel:
        if name not in self._channels:
            self._channels[name] = _Channel(self._make())
        return self._channels[name]

    def _place(self, channel: _Channel, pieces: list[Piece]) -> None:
        """Gives each piece to the chunks whose text it is. The replacement of a match goes where the match begins."""
        for piece in pieces:
            if piece.literal:
                for start, end, parts in channel.open:
                    if start >= piece.end:
                        break
                    parts.append(piece.text[max(start - piece.start, 0) : end - piece.start])
            else:
                channel.open[0][2].append(piece.text)
            self._held -= piece.end - channel.gone
            channel.gone = piece.end
            while channel.open and channel.open[0][1] <= channel.gone:
                channel.open.popleft()

    def _ready(self) -> list[Any]:
        ready: list[Any] = []
        while self._waiting:
            for name, end in self._waiting[0].ends:
                if self._channels[name].gone < end:
                    return ready
            ready.append(self._rebuilt(self._waiting.popleft()))
        return ready

    def _rebuilt(self, waiting: _Waiting) -> Any:
        texts = ["".join(parts) for parts in waiting.parts]
        if self._left is not None:
            for at, text in enumerate(texts):
                texts[at] = text[: self._left]
                self._left -= len(texts[at])
        return waiting.delta.rebuilt(texts)


class Whole:
    """Chunks that wait for the end: all of a channel's text is one segment, and is returned in its first chunk."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._deltas: list[Delta] = []
        self._calls: list[Any] = []
        self._size = 0

    def feed(self, chunk: Any) -> None:
        """Adds a chunk. Raises Unscannable if it cannot be read, or if more would be held than is allowed."""
        delta = read(chunk)
        self._size += sum(len(text) for _, text in delta.texts)
        if self._size > self._most:
            raise Unscannable(too_long(self._most))
        if delta.calls_tool:
            self._calls.append(chunk)
        else:
            self._deltas.append(delta)

    @property
    def names(self) -> list[str]:
        """The channels, in the order in which they began."""
        return list(dict.fromkeys(name for delta in self._deltas for name, _ in delta.texts))

    def content(self) -> Content | str:
        """What is to be released: a text, or one segment for each channel if there are several."""
        texts: dict[str, list[str]] = {name: [] for name in self.names}
        sizes, borders = dict.fromkeys(texts, 0), {name: list[int]() for name in texts}
        block: dict[str, str] = {}
        for delta in self._deltas:
            for (name, text), of in zip(delta.texts, delta.blocks, strict=True):
                if text and of != block.setdefault(name, of):
                    borders[name].append(sizes[name])
                    block[name] = of
                texts[name].append(text)
                sizes[name] += len(text)
        joined = {name: "".join(parts) for name, parts in texts.items()}
        if len(joined) < 2 and not any(borders.values()):
            return next(iter(joined.values()), "")
        one = len(joined) < 2
        segments = tuple(
            Segment(text, path="" if one else f"/{name}", borders=tuple(borders[name])) for name, text in joined.items()
        )
        return Content(segments, lambda others: others[0] if one else list(others), plain=one)

    def rebuilt(self, released: Any) -> list[Any]:
        """The chunks, with what was released of their texts."""
        texts = [released] if isinstance(released, str) else released
        left = dict(zip(self.names, texts, strict=False))
        made = [delta.rebuilt([left.pop(name, "") for name, _ in delta.texts]) for delta in self._deltas]
        return [*made, *self._calls]
