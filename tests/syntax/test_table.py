"""The parser by its table, and without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policyengine.diagnostics.source import Source
from policyengine.syntax import parse as parsing
from policyengine.syntax import table
from tests.support.paths import ROOT

TEXTS = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "policies").rglob("*.pol"))]
BROKEN = [
    "permit a: retrieve on",
    "permit a: retrieve on Document when (",
    "permit a: on on on\npermit b: retrieve on Document",
]


SOURCES = [Source("a.pol", text) for text in [*TEXTS, *BROKEN]]


@pytest.fixture
def anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Parsers are made anew, and this is where their table is looked for."""
    monkeypatch.setattr(table, "__file__", str(tmp_path / "table.py"))
    parsing._parser.cache_clear()
    yield tmp_path / table.FILE
    parsing._parser.cache_clear()


def parsed() -> list[parsing.Parsed]:
    return list(map(parsing.parse, SOURCES))


def test_with_a_table_texts_mean_the_same(anew: Path) -> None:
    without = parsed()
    anew.write_bytes(table.made(parsing.grammar()))
    assert table._known(parsing.grammar()) is not None
    parsing._parser.cache_clear()
    assert parsed() == without


@pytest.mark.parametrize("data", [b"", b"no table", table.made("start: /a/")])
def test_another_table_is_none(anew: Path, data: bytes) -> None:
    anew.write_bytes(data)
    assert table._known(parsing.grammar()) is None
    assert parsing.parse(Source("a.pol", "permit a: retrieve on Document")).diagnostics == ()
