"""`explain`: the decision drawn on the policy's own text."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ANN, Cli, refund, retrieve
from tests.cli.running import run
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"

CASES: dict[str, dict[str, Any]] = {
    "refund_allowed": refund(40),
    "refund_too_large": refund(6000),
    "refund_needs_approval": refund(400),
    "refund_wrong_type": refund("40"),
    "legal_hold": retrieve(labels=["legal_hold"]),
    "near_miss": retrieve(classification=4, readers=[{"type": "User", "id": "bob"}, {"type": "User", "id": "cy"}]),
    "manager": {**retrieve(tenant="globex"), "principal": {**ANN, "manager": {**ANN, "id": "m", "roles": ["boss"]}}},
    "agent": {**retrieve(), "context": {"agent": {"type": "Agent", "id": "bot", "tenant": "acme", "roles": []}}},
    "unknown_action": {**refund(1), "action": "zap"},
    "bad_agent": {**refund(1), "context": {"agent": 5}},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("width", [80, 120])
def test_drawn(policies: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, width: int) -> None:
    monkeypatch.chdir(policies.parent)
    assert cli("explain", policies.name, "-r", "-", stdin=CASES[name], width=width) == 0
    assert_golden(GOLDEN / f"explain_{name}_{width}.txt", cli.out)


def test_one_rule(policies: Path, cli: Cli) -> None:
    for name in ("refund", "support.refund"):
        assert cli("explain", policies, "-r", "-", "--rule", name, stdin=refund(6000)) == 0
        assert "permit support.refund does not hold" in cli.out
        assert "finance_approval: call" not in cli.out
    assert cli("explain", policies, "-r", "-", "--rule", "refnd", stdin=refund(1)) == 2
    assert "did you mean `refund`?" in cli.err
    assert cli("explain", policies, "-r", "-", "--rule", "legal_hold", stdin=refund(1)) == 2


def test_json(policies: Path, cli: Cli) -> None:
    assert cli("explain", policies, "-r", "-", "--json", stdin=refund(6000)) == 0
    found = json.loads(cli.out)
    assert found["decision"]["decision"] == "deny"
    assert "`tool.args.amount` is `6000`" in found["why"]
    (actor,) = found["actors"]
    assert [miss["rule"] for miss in actor["closest"]] == ["support.refund"]
    refused = next(rule for rule in actor["rules"] if rule["name"] == "support.refund")
    assert refused["outcome"] == "did not hold"
    compared = refused["condition"]["parts"][-1]
    assert (compared["text"], compared["value"]) == ("tool.args.amount <= 5000", False)
    assert [part["value"] for part in compared["parts"]] == [6000, 5000]


HOSTILE = "\u001b[2J\u202e\u0007\u200b\n\r" + "x" * 10_000


def test_hostile_values_cannot_draw(policies: Path, warm: Path) -> None:
    request = retrieve(tenant=HOSTILE, labels=[HOSTILE], readers=[{"type": "User", "id": HOSTILE}])
    request["principal"] = {**ANN, "id": HOSTILE, "tenant": HOSTILE}
    request["context"] = {"agent": {"type": "Agent", "id": HOSTILE}}
    for more in ((), ("--json",)):
        done = run("explain", policies, "-r", "-", *more, warm=warm, stdin=json.dumps(request))
        assert done.returncode == 0
        assert not re.search("[^\\x20-\\x7e\\n✓✗·…│├└─←]", done.stdout)
        if not more:
            assert max(map(len, done.stdout.splitlines())) < 30_000


def test_invalid_policies_are_1(cli: Cli, tmp_path: Path) -> None:
    assert cli("explain", tmp_path, "-r", "-", stdin=refund(1)) == 1


def test_compiled(policies: Path, cli: Cli) -> None:
    assert cli("explain", policies, "--compiled", "legal_hold") == 0
    assert cli.out.startswith(f"forbid support.legal_hold  {policies}:")
    assert "Agent  retrieve  Document\n  as well as Service  retrieve  Document" in cli.out
    own = [line for line in cli.out.splitlines() if line.startswith("  > │")]
    assert len(own) == 2
    assert "'legal_hold' in" in own[0]
    assert "is Group::" in cli.out


def test_compiled_for_a_request(policies: Path, cli: Cli) -> None:
    assert cli("explain", policies, "--compiled", "legal_hold", "-r", "-", "--json", stdin=retrieve()) == 0
    found = json.loads(cli.out)
    assert (found["rule"], found["kind"]) == ("support.legal_hold", "forbid")
    assert found["text"].startswith("forbid legal_hold:")
    assert found["for"] == {"principal": "User", "action": "retrieve", "resource": "Document"}
    assert found["for"] not in found["others"]
    text = "\n".join(line["text"] for line in found["functions"][0]["lines"])
    ast.parse(text)
    assert cli("explain", policies, "--compiled", "legal_hold", "-r", "-", stdin=refund(1)) == 2
    assert "does not apply to this request" in cli.err


def test_compiled_marks_each_rule_wherever_it_is_asked(tmp_path: Path, cli: Cli) -> None:
    """Files of one layout have rules in the same lines; more rules than fit one function, and rules in tables."""
    names = []
    for module in ("a", "b"):
        rules = [f'permit free{n}: retrieve on Document when document.tenant != "t{n}"' for n in range(120)]
        rules += [f'permit keyed{n}: retrieve on Document when document.tenant == "t{n}"' for n in range(5)]
        (tmp_path / f"{module}.pol").write_text("\n".join([f"module {module}", "use ai", *rules]), encoding="utf-8")
        names += [f"{module}.{rule}" for rule in ("free0", "free119", "keyed3")]
    for name in names:
        assert cli("explain", tmp_path, "--compiled", name, "--json") == 0
        functions = json.loads(cli.out)["functions"]
        own = [line["text"] for function in functions for line in function["lines"] if line["mark"] == "rule"]
        assert len(own) == 2, name
        number = re.search("[0-9]+", name)
        assert number is not None
        assert f"'t{number[0]}'" in own[0]


def test_compiled_of_an_unknown_rule(policies: Path, cli: Cli) -> None:
    assert cli("explain", policies, "--compiled", "legal_hld") == 2
    assert "did you mean `legal_hold`?" in cli.err
    assert cli("explain", policies) == 2
    assert "--compiled" in cli.err


def test_a_code_is_told_from_policies(cli: Cli) -> None:
    assert cli("explain", "POL204") == 2
    assert "policyengine check --explain POL204" in cli.err
    assert cli("check", "--explain", "POL204") == 0
