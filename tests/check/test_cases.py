"""The checker on the chunked case files of `cases/`: exactly the findings that are written there, and no more.

A text that starts with a title is in a module that uses `ai`; the other files of a chunk say so themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from policyengine.bundle import load_path
from policyengine.diagnostics.diagnostic import Diagnostic
from tests.support.chunks import Chunk, check_chunk, chunks_in, rewrite, updating

CASES = Path(__file__).parent / "cases"
CHUNKS = chunks_in(CASES)
HEADER = "module case use ai "


@pytest.mark.parametrize("chunk", CHUNKS, ids=[chunk.id for chunk in CHUNKS])
def test_chunk(chunk: Chunk, tmp_path: Path) -> None:
    check_chunk(chunk, lambda files: _load(files, tmp_path))


@pytest.mark.skipif(not updating(), reason="writes the case files")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.pol")), ids=lambda path: path.stem)
def test_rewrite(path: Path, tmp_path: Path) -> None:
    rewrite(path, lambda files: _load(files, tmp_path))


def _load(files: dict[str, str], folder: Path) -> Sequence[Diagnostic]:
    for old in folder.glob("*.pol"):
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(_with_header(text), encoding="utf-8")
    return load_path(folder).diagnostics


def _with_header(text: str) -> str:
    """The text in a module of its own, every line where it was: the header stands in place of the title."""
    title, newline, rest = text.partition("\n")
    return HEADER + newline + rest if title.startswith("# ") else text
