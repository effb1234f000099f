"""Findings and failed tests in the forms of code scanning and of GitHub's workflows; the hooks for pre-commit."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from policyengine.cli.report_format import github, sarif
from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic, Note
from policyengine.diagnostics.source import Source, Span
from tests.cli.conftest import POLICIES, Cli
from tests.support.paths import ROOT

BAD = """module bad
use ai
permit x: retrieve on Document when document.ownr == principal.tenant
"""
LAX = """module lax
use ai
permit z: retrieve on Document when true
"""
FAILING = """
test "a large refund is allowed" {
  principal User::"ann" { tenant: "acme", roles: ["support"], clearance: 1 }
  call on Tool::"issue_refund" { args: { amount: 6000, order: "A-1" } }
  expect allow
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_sarif_has_each_finding_its_place_and_its_page(folder: Path, cli: Cli) -> None:
    Path("bad.pol").write_text(BAD, encoding="utf-8")
    Path("lax.pol").write_text(LAX, encoding="utf-8")
    assert cli("check", "bad.pol", "lax.pol", "--format", "sarif") == 1
    log = json.loads(cli.out)
    [run] = log["runs"]
    assert log["version"] == "2.1.0"
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["POL204", "POL302"]
    assert rules[0]["help"]["markdown"].startswith("# POL204: ")
    assert [rule["defaultConfiguration"]["level"] for rule in rules] == ["error", "warning"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"], rules[first["ruleIndex"]]["id"]) == ("POL204", "error", "POL204")
    assert (second["ruleId"], second["level"]) == ("POL302", "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "bad.pol"
    assert place["region"] == {"startLine": 3, "startColumn": 46, "endLine": 3, "endColumn": 50}
    assert "did you mean `owner`" in first["message"]["text"]


def test_without_a_finding_sarif_is_a_run_without_results(policies: Path, cli: Cli) -> None:
    assert cli("check", policies, "--format", "sarif") == 0
    [run] = json.loads(cli.out)["runs"]
    assert (run["results"], run["tool"]["driver"]["rules"]) == ([], [])


def test_github_shows_each_finding_beside_its_line(folder: Path, cli: Cli) -> None:
    Path("bad.pol").write_text(BAD, encoding="utf-8")
    Path("lax.pol").write_text(LAX, encoding="utf-8")
    assert cli("check", "bad.pol", "lax.pol", "--format", "github") == 1
    first, second = cli.out.splitlines()
    assert first.startswith("::error file=bad.pol,line=3,endLine=3,col=46,endColumn=49,title=POL204%3A ")
    assert "::unknown attribute `ownr` on entity type `Document`; " in first
    assert second.startswith("::warning file=lax.pol,line=3,")


@pytest.mark.parametrize("path", ["a:b,c%0A.pol", "a\n::error::b.pol", "a\u202e.pol", "a b#?.pol"])
def test_a_name_is_no_command(path: str) -> None:
    span = Span(Source(path, "permit\nx"), 0, 8)
    found = Diagnostic(codes.SYNTAX, span, "a\n::error::b", "c\r", "100%\n::d", (Note(span, "e\nf"),))
    assert len(github(found).splitlines()) == 1
    assert github(found).count("::") == 2 + github(found).split("::", 2)[2].count("::")
    [run] = sarif([found], lambda code: code.title)["runs"]
    uri = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == path
    assert uri.isascii()
    assert uri.isprintable()


@pytest.mark.parametrize("form", ["sarif", "github", "concise", "json"])
def test_failed_tests_are_findings_too(folder: Path, cli: Cli, form: str) -> None:
    Path("support.pol").write_text(POLICIES + FAILING, encoding="utf-8")
    assert cli("test", "support.pol", "--format", form) == 1
    assert "a large refund is allowed" in cli.out
    if form == "sarif":
        [result] = json.loads(cli.out)["runs"][0]["results"]
        assert (result["ruleId"], result["level"]) == ("POL405", "error")
    if form == "github":
        [line] = cli.out.splitlines()
        assert line.startswith("::error file=support.pol,")
    if form == "json":
        assert json.loads(cli.out)["failed"] == 1


def test_two_forms_at_once_are_refused(policies: Path, cli: Cli) -> None:
    assert cli("test", policies, "--json", "--format", "sarif") == 2


HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_every_hook_passes_what_is_right_and_stops_what_is_not(folder: Path, cli: Cli, hook: dict[str, object]) -> None:
    command, *words = shlex.split(str(hook["entry"]))
    assert (command, hook["language"]) == ("policyengine", "python")
    (folder / "policies").mkdir()
    path = folder / "policies" / "support.pol"
    args = [str(word) for word in hook.get("args", [])] if hook.get("pass_filenames") is False else [str(path)]
    path.write_text(POLICIES, encoding="utf-8")
    assert cli(*words, *args) == 0
    path.write_text(POLICIES + FAILING + "permit", encoding="utf-8")
    assert cli(*words, *args) == 1
