"""Chunked case files: policies with the expected findings written on the lines that must fail.

```
# a title
permit p: retrieve on Document
  when document.ownr == "x"   #! POL204: unknown attribute `ownr` on entity type `Document`
  #! help: did you mean `owner`?
---
# the next chunk; without `#!` it must be clean
```

Several findings may stand on one line, each after its own `#!`; `#! help:` and `#! at:` (the marked text) belong to the
finding before them, and are checked only where they are written. `=== NAME.pol` starts the next file of a chunk.
`make golden` writes the findings anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.render import human

SEPARATOR = "---"
NEXT_FILE = "=== "
MARKER = "#!"


@dataclass(slots=True)
class Expected:
    """One finding; `help` and `at` are None where the chunk does not say."""

    file: str
    line: int
    text: str
    help: str | None = None
    at: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@dataclass(slots=True)
class Chunk:
    """One case: the files without their markers, and what must be found in them."""

    path: Path
    line: int
    raw: list[str]
    title: str = ""
    files: dict[str, list[str]] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.path.stem}:{self.line} {self.title}".strip()


Load = Callable[[dict[str, str]], Sequence[Diagnostic]]


def chunks_in(folder: Path) -> list[Chunk]:
    """Every chunk of every case file of a folder."""
    return [chunk for path in sorted(folder.glob("*.pol")) for chunk in read(path)]


def read(path: Path) -> list[Chunk]:
    """The chunks of one file, in order."""
    chunks = [Chunk(path, 1, [])]
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if line == SEPARATOR:
            chunks.append(Chunk(path, number + 1, []))
        else:
            chunks[-1].raw.append(line)
    for chunk in chunks:
        _split(chunk)
    return chunks


def check_chunk(chunk: Chunk, load: Load) -> None:
    """Fails, with what was found and what was not, unless the findings are exactly those that the chunk expects."""
    found = list(load({name: "\n".join(lines) for name, lines in chunk.files.items()}))
    missing = [e for e in chunk.expected if not any(_fits(e, d) for d in found)]
    surplus = [d for d in found if not any(_fits(e, d) for e in chunk.expected)]
    if missing or surplus or len(found) != len(chunk.expected):
        report = [f"{chunk.path}:{chunk.line}: {chunk.title}"]
        report += [f"  expected, and not found: {e}\n    help: {e.help}\n    at: {e.at}" for e in missing]
        report += ["  found, and not expected:\n" + human(d) for d in surplus]
        pytest.fail("\n".join(report), pytrace=False)


def updating() -> bool:
    return os.environ.get("UPDATE_GOLDEN") == "1"


def rewrite(path: Path, load: Load) -> None:
    """Write the findings into the file anew."""
    out = []
    for chunk in read(path):
        found = list(load({name: "\n".join(lines) for name, lines in chunk.files.items()}))
        lines = []
        for position, (name, text) in enumerate(chunk.files.items()):
            lines += [f"{NEXT_FILE}{name}"] if position else []
            for number, line in enumerate(text, 1):
                here = [d for d in found if _place(d) == (name, number)]
                lines.append("   ".join([line, *(f"{MARKER} {_text(d)}" for d in here)]))
                if len(here) == 1 and here[0].help:
                    lines.append(f"  {MARKER} help: {here[0].help}")
        out.append("\n".join(lines))
    path.write_text(f"\n{SEPARATOR}\n".join(out), encoding="utf-8")


def _split(chunk: Chunk) -> None:
    name = "case.pol"
    chunk.files[name] = []
    for raw in chunk.raw:
        if raw.startswith(NEXT_FILE):
            name = raw.removeprefix(NEXT_FILE)
            chunk.files[name] = []
            continue
        text, *marks = raw.split(MARKER)
        if text.strip() or not marks:
            chunk.files[name].append(text.rstrip(" ") if marks else text)
        for mark in marks:
            kind, _, value = mark.strip().partition(": ")
            if kind == "help":
                chunk.expected[-1].help = value
            elif kind == "at":
                chunk.expected[-1].at = value
            else:
                chunk.expected.append(Expected(name, len(chunk.files[name]), mark.strip()))
    first = chunk.raw[0] if chunk.raw else ""
    chunk.title = first.removeprefix("# ") if first.startswith("# ") else ""


def _fits(expected: Expected, found: Diagnostic) -> bool:
    return (
        _place(found) == (expected.file, expected.line)
        and _text(found) == expected.text
        and expected.help in (None, found.help)
        and expected.at in (None, found.span.text)
    )


def _place(found: Diagnostic) -> tuple[str, int]:
    return Path(found.span.source.path).name, found.span.line_col[0]


def _text(found: Diagnostic) -> str:
    """The code and the message, which may name a file: without the folder, which is another in every run."""
    return re.sub(r"/\S+/(?=[^/\s]+\.pol)", "", f"{found.code.id}: {found.message}")
