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
