"""A diagnostic: what is wrong, where, and what to do about it.

Codes are declared once in `codes.py`; a diagnostic is a code filled in for one place in one text.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from policyengine.diagnostics.source import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Code:
    """One kind of finding. Its page is `pages/<id>.md`."""

    id: str
    severity: Severity
    title: str


@dataclass(frozen=True, slots=True)
class Note:
    """A second place that helps to understand the first."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. `message` is one line; `label` stands beside the caret; `help` says what to do."""

    code: Code
    span: Span
    message: str
    label: str = ""
    help: str = ""
    notes: tuple[Note, ...] = ()

    @property
    def is_error(self) -> bool:
        return self.code.severity is Severity.ERROR


def has_errors(diagnostics: tuple[Diagnostic, ...] | list[Diagnostic]) -> bool:
    return any(d.is_error for d in diagnostics)


def in_order(diagnostics: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    """By file, then place, then code; each finding once."""
    unique: dict[tuple[str, int, str, str], Diagnostic] = {}
    for d in diagnostics:
        unique.setdefault((d.span.source.path, d.span.start, d.code.id, d.message), d)
    return tuple(unique[key] for key in sorted(unique))
