"""One tool's schema while it is read: the work so far, and the notes about it. Notes may quote the schema."""

from __future__ import annotations

from dataclasses import dataclass, field

# The most schemas reached through references, in one tool and in one document: references can multiply without end.
MAX_EXPANDED = 1_000
MAX_EXPANDED_IN_ALL = 20_000
MAX_NAME = 200


@dataclass(slots=True)
class ImportedSchema:
    """One tool's schema while it is read: where references lead, the work so far, the notes so far as (path,
    message)."""

    root: object
    path: str
    spent_before: int = 0
    spent: int = 0
    notes: dict[tuple[str, str], None] = field(default_factory=dict)

    def note(self, path: str, message: str) -> None:
        self.notes[path, message] = None

    def afford(self) -> bool:
        """Whether one more schema may be read through a reference."""
        self.spent += 1
        return self.spent <= MAX_EXPANDED and self.spent_before + self.spent <= MAX_EXPANDED_IN_ALL


def pointer(steps: tuple[str | int, ...]) -> str:
    """A JSON Pointer (RFC 6901). Very long names are cut, because each note repeats the names around its place."""
    return "".join("/" + clipped(str(step), MAX_NAME).replace("~", "~0").replace("/", "~1") for step in steps)


def writable(text: str) -> bool:
    """Whether the text has any form in UTF-8; a lone surrogate has none."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def clipped(text: str, limit: int = 40) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
