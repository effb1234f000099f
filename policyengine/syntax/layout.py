"""Documents that know where they may break, and printing them within a width (after Wadler, "A prettier printer").

In: a document. Out: text without trailing blanks. Knows nothing of policies; never recurses, so documents may be deep.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

WIDTH = 100


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A newline if the enclosing group is broken, otherwise `flat`. `shift` moves the next line left of the indent;
    `hard` always breaks; `blank` leaves one empty line."""

    flat: str = " "
    shift: int = 0
    hard: bool = False
    blank: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Concat:
    parts: tuple[Doc, ...]
    forced: bool


@dataclass(frozen=True, slots=True, eq=False)
class Nest:
    """Lines inside are indented by `by` more columns."""

    by: int
    body: Doc
    forced: bool


@dataclass(frozen=True, slots=True, eq=False)
class Align:
    """Lines inside are indented to the column where the body starts."""

    body: Doc
    forced: bool


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Broken at all of its own lines, or at none if it fits. A hard break breaks every enclosing group."""

    body: Doc
    forced: bool


@dataclass(frozen=True, slots=True, eq=False)
class IfBroken:
    """Text that appears only in a broken group."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Suffix:
    """Text for the end of the current line, whatever follows on it. Not counted against the width."""

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Break:
    """Nothing, but the enclosing groups break."""


Doc = str | Line | Concat | Nest | Align | Group | IfBroken | Suffix | Break

LINE, HARD, BREAK = Line(), Line(hard=True), Break()


def concat(*parts: Doc) -> Doc:
    return Concat(parts, any(_forced(part) for part in parts))


def nest(by: int, *parts: Doc) -> Doc:
    body = concat(*parts)
    return Nest(by, body, _forced(body))


def align(*parts: Doc) -> Doc:
    body = concat(*parts)
    return Align(body, _forced(body))


def group(*parts: Doc) -> Doc:
    body = concat(*parts)
    return Group(body, _forced(body))


def join(separator: Doc, docs: Iterable[Doc]) -> Doc:
    parts: list[Doc] = []
    for doc in docs:
        parts += [separator, doc] if parts else [doc]
    return concat(*parts)


def render(doc: Doc, width: int = WIDTH) -> str:
    page = _Page()
    todo: list[tuple[int, bool, Doc]] = [(0, True, doc)]
    while todo:
        indent, broken, doc = todo.pop()
        match doc:
            case str():
                page.write(doc)
            case Line():
                if broken or doc.hard:
                    page.newline(indent - doc.shift, doc.blank)
                else:
                    page.write(doc.flat)
            case Concat(parts):
                todo.extend((indent, broken, part) for part in reversed(parts))
            case Nest(by, body):
                todo.append((indent + by, broken, body))
            case Align(body):
                todo.append((page.column, broken, body))
            case Group(body, forced):
                breaks = broken and (forced or not _fits(body, todo, width - page.column))
                todo.append((indent, breaks, body))
            case IfBroken(text):
                page.write(text if broken else "")
            case Suffix(text):
                page.suffixes.append(text)
            case Break():
                pass
            case _:
                assert_never(doc)
    return page.finish()


@dataclass(slots=True)
class _Page:
    """The text so far. An indent is written only once something follows it."""

    pieces: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    column: int = 0
    _pending: int = 0

    def write(self, text: str) -> None:
        if text:
            self.pieces.append(" " * self._pending + text)
            self.column += len(text)
            self._pending = 0

    def newline(self, indent: int, blank: bool) -> None:
        self._flush(indent)
        self.pieces.append("\n\n" if blank else "\n")
        self.column = self._pending = max(indent, 0)

    def finish(self) -> str:
        self._flush(0)
        return "".join(self.pieces)

    def _flush(self, indent: int) -> None:
        # Two comments cannot share a line: the second would become part of the first.
        self.pieces.append(("\n" + " " * max(indent, 0)).join(self.suffixes))
        self.suffixes.clear()


def _forced(doc: Doc) -> bool:
    match doc:
        case Line():
            return doc.hard
        case Concat() | Nest() | Align() | Group():
            return doc.forced
        case Break():
            return True
        case str() | IfBroken() | Suffix():
            return False
        case _:
            assert_never(doc)


def _fits(body: Doc, rest: list[tuple[int, bool, Doc]], room: int) -> bool:
    """Whether the body on one line, and what follows up to the next possible newline, take at most `room` columns."""
    stack: list[tuple[bool, Doc]] = [(False, body)]
    following = len(rest)
    while room >= 0:
        if not stack:
            if following == 0:
                return True
            following -= 1
            stack.append(rest[following][1:])
        broken, doc = stack.pop()
        match doc:
            case str():
                room -= len(doc)
            case Line():
                if broken or doc.hard:
                    return True
                room -= len(doc.flat)
            case Concat(parts):
                stack.extend((broken, part) for part in reversed(parts))
            case Nest(_, inner) | Align(inner) | Group(inner):
                stack.append((broken, inner))
            case IfBroken(text):
                room -= len(text) if broken else 0
            case Suffix() | Break():
                pass
            case _:
                assert_never(doc)
    return False
