"""Diagnostics as text for people, as one line for tools, and as JSON values for machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from unicodedata import combining, east_asian_width

from policyengine.diagnostics.diagnostic import Diagnostic, Severity
from policyengine.diagnostics.safe_text import one_line
from policyengine.diagnostics.source import Span

_RED, _YELLOW, _BLUE, _BOLD, _RESET = "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"


def human(diagnostic: Diagnostic, color: bool = False) -> str:
    """The message, the place with a caret under it, the notes, and the help line."""
    paint = _painter(color)
    hue = _RED if diagnostic.is_error else _YELLOW
    width = len(str(diagnostic.span.line_col[0]))
    head = paint(f"{diagnostic.code.severity}[{diagnostic.code.id}]", hue)
    out = [f"{head}{paint(':', _BOLD)} {paint(one_line(diagnostic.message), _BOLD)}"]
    out += _excerpt(diagnostic.span, one_line(diagnostic.label), hue, width, paint)
    gutter = paint(" " * width + " =", _BLUE)
    for note in diagnostic.notes:
        out.append(f"{gutter} note: {one_line(note.message)} ({one_line(str(note.span))})")
    if diagnostic.help:
        out.append(f"{gutter} help: {one_line(diagnostic.help)}")
    return "\n".join(out)


def concise(diagnostic: Diagnostic) -> str:
    """`path:line:col: error[POL204]: message`."""
    code = f"{diagnostic.code.severity}[{diagnostic.code.id}]"
    return f"{one_line(str(diagnostic.span))}: {code}: {one_line(diagnostic.message)}"


def as_json(diagnostic: Diagnostic) -> dict[str, Any]:
    """A JSON value; lines and columns are 1-based, the end is exclusive."""
    return {
        "code": diagnostic.code.id,
        "severity": str(diagnostic.code.severity),
        "message": diagnostic.message,
        "label": diagnostic.label,
        "help": diagnostic.help,
        "location": location(diagnostic.span),
        "notes": [{"message": note.message, "location": location(note.span)} for note in diagnostic.notes],
    }


def location(span: Span) -> dict[str, Any]:
    line, column = span.line_col
    end_line, end_column = span.end_line_col
    return {"path": span.source.path, "line": line, "column": column, "end_line": end_line, "end_column": end_column}


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`, or an empty string."""
    listed = list(diagnostics)
    errors = sum(d.code.severity is Severity.ERROR for d in listed)
    counts = [(errors, "error"), (len(listed) - errors, "warning")]
    return ", ".join(f"{n} {word}{'s' if n != 1 else ''}" for n, word in counts if n)


Paint = Callable[[str, str], str]


def _excerpt(span: Span, label: str, hue: str, width: int, paint: Paint) -> list[str]:
    """The first line of the span. Columns of a terminal are counted, not characters, so that the caret stands right."""
    line, col = span.line_col
    end_line, end_col = span.end_line_col
    text = span.source.line(line)
    stop = end_col - 1 if end_line == line else len(text)
    before, marked = _columns(one_line(text[: col - 1])), _columns(one_line(text[col - 1 : stop]))
    caret = "^" * max(1, marked)
    bar = paint("|", _BLUE)
    return [
        f"{' ' * width}{paint('-->', _BLUE)} {one_line(str(span))}",
        f"{' ' * width} {bar}",
        f"{paint(str(line), _BLUE)} {bar} {one_line(text)}".rstrip(),
        f"{' ' * width} {bar} {' ' * before}{paint((caret + ' ' + label).rstrip(), hue)}",
    ]


def _columns(text: str) -> int:
    """How many columns a terminal takes for the text."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def _painter(color: bool) -> Paint:
    return (lambda text, hue: f"{hue}{text}{_RESET}") if color else (lambda text, hue: text)
