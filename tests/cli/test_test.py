"""`test`: results, why one failed, which rules no test reaches, and a report for CI."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.conftest import POLICIES, Cli
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
FAILING = (
    POLICIES
    + """
test "a large refund is allowed" {
  principal User::"ann" { tenant: "acme", roles: ["support"], clearance: 1 }
  call on Tool::"issue_refund" { args: { amount: 6000, order: "A-1" } }
  expect allow
}
"""
)


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("support.pol")
    path.write_text(FAILING, encoding="utf-8")
    return path


def test_passing_tests_and_coverage(policies: Path, cli: Cli) -> None:
    assert cli("test", policies) == 0
    assert_golden(GOLDEN / "test_passed.txt", cli.out)
    assert cli("test", policies, "--no-coverage") == 0
    assert "held in some test" not in cli.out
    assert cli("test", policies, "--quiet") == 0
    assert cli.out == ""


def test_a_failure_says_where_and_why(failing: Path, cli: Cli) -> None:
    assert cli("test", failing) == 1
    assert_golden(GOLDEN / "test_failed.txt", cli.out)


def test_json(failing: Path, cli: Cli) -> None:
    assert cli("test", failing, "--json") == 1
    found = json.loads(cli.out)
    assert (found["passed"], found["failed"]) == (1, 1)
    assert found["coverage"]["held"] == ["support.finance_approval", "support.refund"]
    assert found["coverage"]["erred"] == []
    assert round(found["coverage"]["percent"], 2) == 28.57
    assert "`tool.args.amount` is `6000`" in found["tests"][1]["why"]


def test_junit(failing: Path, cli: Cli, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert cli("test", failing, "--junit", report) == 1
    root = ElementTree.fromstring(report.read_bytes())
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    failures = root.findall("testsuite/testcase/failure")
    assert [f.get("message", "")[:30] for f in failures] == ["expected allow, got deny (deni"]


def test_some_tests_by_name(failing: Path, cli: Cli) -> None:
    assert cli("test", failing, "-k", "SMALL") == 0
    assert cli("test", failing, "-k", "nothing like that") == 2


def test_no_tests_is_no_failure_but_said(cli: Cli) -> None:
    assert cli("test", "-", stdin="module m\nuse ai\n") == 0
    assert "no tests" in cli.out


def test_invalid_policies_are_1(cli: Cli) -> None:
    assert cli("test", "-", stdin="permit") == 1
    assert "error[POL101]" in cli.err


ERRING = """module m
use ai
permit read: retrieve on Document
forbid secret: retrieve on Document
  when document.classification > 2
forbid held: retrieve on Document
  when "hold" in document.labels
test "of what nobody told" {
  principal User::"ann"
  retrieve on Document::"d1" { labels: [] }
  expect deny by secret
}
"""


def test_a_rule_that_erred_is_told_from_one_that_was_never_true(cli: Cli) -> None:
    assert cli("test", "-", stdin=ERRING) == 0
    assert "1 of 3 rules held in some test\n  erred, never held: m.secret\n  never: m.held\n" in cli.out
    assert cli("test", "-", "--json", stdin=ERRING) == 0
    coverage = json.loads(cli.out)["coverage"]
    assert (coverage["held"], coverage["erred"], coverage["never"]) == (["m.read"], ["m.secret"], ["m.held"])


def test_a_threshold_of_coverage_fails(cli: Cli) -> None:
    assert cli("test", "-", "--fail-under", "33.3", stdin=ERRING) == 0
    assert cli("test", "-", "--fail-under", "33.4", stdin=ERRING) == 1
    assert "33.3 % of the rules held in some test, and --fail-under is 33.4 %" in cli.err
    assert cli("test", "-", "--fail-under", "34", "--format", "github", stdin=ERRING) == 1
    assert cli.out.startswith("::error::33.3 %25 of the rules")
    assert cli("test", "-", "--fail-under", "100", "--json", stdin=ERRING) == 1
    assert json.loads(cli.out)["failed"] == 0


def test_no_test_at_all_is_under_every_threshold_and_no_rule_under_none(cli: Cli) -> None:
    assert cli("test", "-", "--fail-under", "1", stdin="module m\nuse ai\npermit p: invoke on Model\n") == 1
    assert cli("test", "-", "--fail-under", "100", stdin="module m\nuse ai\n") == 0


@pytest.mark.parametrize("words", [["101"], ["-1"], ["nan"], ["50", "--no-coverage"]])
def test_a_threshold_that_means_nothing_is_refused(cli: Cli, words: list[str]) -> None:
    assert cli("test", "-", "--fail-under", *words, stdin=ERRING) == 2
