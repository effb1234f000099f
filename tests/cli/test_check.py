"""`check`: every finding, in three forms, and the pages about them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from policyengine.warm.modules import forget
from tests.cli.conftest import POLICIES, Cli
from tests.cli.running import run
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
BAD = """module bad
use ai
permit x: retrieve on Document when document.ownr == principal.tenant
permit y: retreive on Document
permit z: retrieve on Document when true
"""


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("bad.pol")
    path.write_text(BAD, encoding="utf-8")
    return path


def test_valid_policies_are_0(policies: Path, cli: Cli) -> None:
    assert cli("check", policies) == 0
    assert cli.out == "ok: 7 rules, 1 test in 1 file\n"
    assert cli("check", policies, "--quiet") == 0
    assert cli.out == ""


def test_every_error_is_shown(bad: Path, cli: Cli) -> None:
    assert cli("check", bad) == 1
    assert_golden(GOLDEN / "check_human.txt", cli.out)


def test_one_line_for_each(bad: Path, cli: Cli) -> None:
    assert cli("check", bad, "--format", "concise") == 1
    assert_golden(GOLDEN / "check_concise.txt", cli.out)


def test_json(bad: Path, cli: Cli) -> None:
    assert cli("check", bad, "--format", "json") == 1
    found = json.loads(cli.out)
    assert (found["ok"], found["errors"]) == (False, 2)
    assert [d["code"] for d in found["diagnostics"] if d["severity"] == "error"] == ["POL204", "POL205"]
    assert cli("check", "-", "--format", "json", stdin=POLICIES) == 0
    assert json.loads(cli.out) == {"ok": True, "errors": 0, "warnings": 0, "diagnostics": []}


def test_warnings_pass_unless_strict(cli: Cli) -> None:
    text = "module w\nuse ai\npermit x: retrieve on Document when true\n"
    assert cli("check", "-", stdin=text) == 0
    assert "warning[" in cli.out
    assert cli("check", "-", "--strict", stdin=text) == 1


def test_standard_input_and_a_file_name_the_same_things(policies: Path, cli: Cli) -> None:
    assert cli("check", "-", stdin=POLICIES) == 0
    assert cli("check", "-", stdin="permit") == 1
    assert " stdin:1:" in cli.out


def test_each_path_is_a_bundle_of_its_own(policies: Path, cli: Cli, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "support.pol").write_text(POLICIES, encoding="utf-8")
    assert cli("check", policies, other) == 0
    assert cli.out == "ok: 14 rules, 2 tests in 2 files\n"
    assert cli("check", tmp_path) == 1


@pytest.mark.parametrize("code", ["POL204", "pol204", "204"])
def test_a_page(cli: Cli, code: str) -> None:
    assert cli("check", "--explain", code) == 0
    assert "POL204" in cli.out


def test_wrong_usage_is_2(cli: Cli, tmp_path: Path) -> None:
    assert cli("check") == 2
    assert cli("check", "--explain", "POL999") == 2
    assert cli("check", tmp_path / "none.pol") == 2
    assert cli("check", tmp_path, "--format", "xml") == 2


def test_a_directory_without_policies_and_text_that_is_none_are_1(cli: Cli, tmp_path: Path) -> None:
    assert cli("check", tmp_path) == 1
    (tmp_path / "x.pol").write_bytes(b"\xff\xfe\x00")
    assert cli("check", tmp_path) == 1
    assert "UTF-8" in cli.out


def test_hostile_text_cannot_draw_on_a_terminal(tmp_path: Path, warm: Path) -> None:
    text = 'module h\nuse ai\npermit x: retrieve on Document when document.\x1b[31m == "\u202e"\n'
    done = run("check", "-", warm=warm, stdin=text)
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_what_is_found_is_kept_for_the_next_time(cli: Cli, policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = policies.parent / "kept"
    monkeypatch.setenv("POLICYENGINE_CACHE_DIR", str(kept))
    policies.write_text(POLICIES + "\npermit wide: retrieve on any\n", encoding="utf-8")
    assert cli("check", policies, "--no-cache") == 0
    assert not kept.exists()
    told = cli.out
    assert "POL3" in told
    for _ in range(2):
        forget()
        assert cli("check", policies) == 0
        assert cli.out == told
    assert list(kept.iterdir())


NOT_IN_FORCE = """
use ai
permit p: invoke on Model for User
limit rate: invoke on Model
  at most 60 requests per 1m by principal
prove never: never allow invoke on Model when model.id == "x"
"""


def test_what_nothing_stands_behind_is_said_and_changes_no_status(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "models.pol").write_text(NOT_IN_FORCE)
    assert cli("check", tmp_path) == 0
    assert "nothing proves claims yet" in cli.err
    assert "`models.never`" in cli.err
    assert cli("check", "--strict", tmp_path) == 0
    assert cli("check", "--quiet", tmp_path) == 0
    assert cli.err == ""


def test_check_says_which_limits_would_count_from_nothing(tmp_path: Path, warm: Path) -> None:
    head = "module m\nuse ai\npermit models: invoke on Model\nlimit rate: invoke on Model\n"
    for name, told in (("old", "5 requests per 1h"), ("same", "9 requests per 1h"), ("new", "5 requests per 2h")):
        (tmp_path / f"{name}.pol").write_text(f"{head}  at most {told} by principal\n")

    def said(name: str) -> str:
        result = run("check", tmp_path / f"{name}.pol", "--against", tmp_path / "old.pol", warm=warm)
        return result.stdout + result.stderr

    assert "counts from nothing again" not in said("same")
    assert "starts again from zero: m.rate" in said("new")
    (tmp_path / "old.pol").write_text("permit everything")
    assert "these policies have errors" in said("new")
