"""Source text and the places in it.

In: a path (for display) and text. Out: lines and columns. Never reads a file, never decodes.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field

_NEWLINE = re.compile("\n")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One `.pol` text and where it came from. Two sources are the same only if they are one object."""

    path: str
    text: str
    _lines: list[int] = field(default_factory=list, init=False, repr=False)

    @property
    def _starts(self) -> list[int]:
        """Where each line starts. Found when first asked for: most texts never have to tell."""
        if not self._lines:
            starts = [0, *(newline.end() for newline in _NEWLINE.finditer(self.text))]
            object.__setattr__(self, "_lines", starts)
        return self._lines

    def line_col(self, offset: int) -> tuple[int, int]:
        """The 1-based line and column of a character offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a 1-based line, without its newline."""
        start = self._starts[number - 1]
        end = self._starts[number] - 1 if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r")

    def span(self, start: int, end: int) -> Span:
        return Span(self, start, end)


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters, `start` to `end`, in one source."""

    source: Source
    start: int
    end: int

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def line_col(self) -> tuple[int, int]:
        """1-based line and column of the first character."""
        return self.source.line_col(self.start)

    @property
    def end_line_col(self) -> tuple[int, int]:
        """1-based line and column just past the last character."""
        return self.source.line_col(self.end)

    def to(self, other: Span) -> Span:
        """The range from the start of this span to the end of the other."""
        return Span(self.source, self.start, other.end)

    def __str__(self) -> str:
        line, col = self.line_col
        return f"{self.source.path}:{line}:{col}"
