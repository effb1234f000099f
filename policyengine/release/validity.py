"""What makes an output valid: JSON that matches a schema, a text that matches an expression, or a text of a media
type."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import re2

from policyengine.release.content import Unscannable, parsed
from policyengine.release.schema_validation import TooMuchWork, check_schema, errors

# The most problems that are reported for a text.
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Violation:
    """Where a text is not valid, as a JSON pointer, and which demand it does not meet. Contains no value of the
    text."""

    path: str
    demand: str


@dataclass(frozen=True, slots=True)
class Expected:
    """One of: a JSON Schema (2020-12, or the version it names), an RE2 expression for the whole text, a media type
    (`application/json`, `text/plain`, `text/csv`). Raises ValueError for none or several of these, and for a malformed
    one."""

    schema: Mapping[str, Any] | bool | None = None
    pattern: str | None = None
    media_type: str | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.schema, self.pattern, self.media_type)) != 1:
            raise ValueError("an output can be checked against only one of a schema, a pattern and a media type")
        if self.media_type is not None and self.media_type not in _MEDIA:
            raise ValueError(f"a media type is one of {', '.join(sorted(_MEDIA))}")
        if self.pattern is not None:
            try:
                re2.compile(self.pattern)
            except re2.error as error:
                raise ValueError(f"not an expression: {error}") from None
        if self.schema is not None:
            check_schema(self.schema)

    @property
    def is_json(self) -> bool:
        return self.schema is not None or self.media_type == "application/json"


def problems(text: str, expected: Expected) -> tuple[Violation, ...]:
    """What makes the text invalid; empty if it is valid."""
    if expected.pattern is not None:
        return () if re2.fullmatch(expected.pattern, text) else (Violation("", "pattern"),)
    if expected.media_type is not None:
        return () if _MEDIA[expected.media_type](text) else (Violation("", expected.media_type),)
    try:
        parsed(text)
    except Unscannable:
        return (Violation("", "application/json"),)
    try:
        violations = [Violation(path, demand) for path, demand in islice(errors(expected.schema, text), MOST_PROBLEMS)]
    except TooMuchWork:
        return (Violation("", "schema: too much work"),)
    except ValueError:
        return (Violation("", "schema"),)
    return tuple(violations)


def _json(text: str) -> bool:
    try:
        parsed(text)
    except Unscannable:
        return False
    return True


def _is_printable(text: str) -> bool:
    return not any(ord(c) < 32 and c not in "\t\n\r\f" for c in text)


def _csv(text: str) -> bool:
    """Rows of one length, according to RFC 4180."""
    try:
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except csv.Error:
        return False
    return bool(rows) and len({len(row) for row in rows}) == 1


_MEDIA = {"application/json": _json, "text/plain": _is_printable, "text/csv": _csv}
