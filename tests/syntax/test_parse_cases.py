"""The parser on the chunked case files of `errors/`: exactly the findings that are written there, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.source import Source
from policyengine.syntax.parse import parse
from tests.support.chunks import Chunk, check_chunk, chunks_in, rewrite, updating

CASES = Path(__file__).parent / "errors"
CHUNKS = chunks_in(CASES)


@pytest.mark.parametrize("chunk", CHUNKS, ids=[chunk.id for chunk in CHUNKS])
def test_chunk(chunk: Chunk) -> None:
    check_chunk(chunk, _load)


@pytest.mark.skipif(not updating(), reason="writes the case files")
@pytest.mark.parametrize("path", sorted(CASES.glob("*.pol")), ids=lambda path: path.stem)
def test_rewrite(path: Path) -> None:
    rewrite(path, _load)


def _load(files: dict[str, str]) -> Sequence[Diagnostic]:
    return [d for name, text in files.items() for d in parse(Source(name, text)).diagnostics]
