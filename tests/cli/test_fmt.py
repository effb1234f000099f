"""`fmt`: one layout, written in one step or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import POLICIES, Cli
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
UGLY = "module   m\nuse ai\n# kept\npermit   x:retrieve on Document   when  document.tenant==principal.tenant\n"


@pytest.fixture
def ugly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("m.pol")
    path.write_text(UGLY, encoding="utf-8")
    return path


def test_files_are_rewritten_once(ugly: Path, cli: Cli) -> None:
    ugly.chmod(0o640)
    assert cli("fmt", ".") == 0
    written = ugly.read_text(encoding="utf-8")
    assert "# kept" in written
    assert written != UGLY
    assert ugly.stat().st_mode & 0o777 == 0o640
    before = ugly.stat()
    assert cli("fmt", ugly) == 0
    assert (ugly.stat().st_ino, ugly.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert cli("fmt", "--check", ugly) == 0
    assert list(ugly.parent.iterdir()) == [ugly]


def test_check_and_diff_write_nothing(ugly: Path, cli: Cli) -> None:
    assert cli("fmt", "--check", ugly) == 1
    assert "would reformat m.pol" in cli.out
    assert cli("fmt", "--diff", ugly) == 1
    assert_golden(GOLDEN / "fmt_diff.txt", cli.out)
    assert ugly.read_text(encoding="utf-8") == UGLY


def test_standard_input_to_standard_output(cli: Cli) -> None:
    assert cli("fmt", "-", stdin=UGLY) == 0
    once = cli.out
    assert once.startswith("module m\n")
    assert cli("fmt", "-", stdin=once) == 0
    assert cli.out == once
    assert cli("fmt", "-", stdin=POLICIES) == 0


def test_a_link_stays_a_link(ugly: Path, cli: Cli) -> None:
    link = Path("link.pol")
    link.symlink_to(ugly)
    assert cli("fmt", link) == 0
    assert link.is_symlink()
    assert ugly.read_text(encoding="utf-8") != UGLY


def test_a_file_with_errors_is_left_alone_and_the_others_are_done(ugly: Path, cli: Cli) -> None:
    broken = Path("a_broken.pol")
    broken.write_text("permit\n", encoding="utf-8")
    assert cli("fmt", ".") == 1
    assert broken.read_text(encoding="utf-8") == "permit\n"
    assert ugly.read_text(encoding="utf-8") != UGLY
    assert "error[POL101]" in cli.err
    assert cli("fmt", "-", stdin="permit\n") == 1
    assert cli.out == ""


def test_wrong_usage_is_2(cli: Cli, tmp_path: Path) -> None:
    assert cli("fmt") == 2
    assert cli("fmt", tmp_path) == 2
    assert cli("fmt", tmp_path / "none.pol") == 2
    (tmp_path / "x.pol").write_bytes(b"\xff")
    assert cli("fmt", tmp_path / "x.pol") == 2
