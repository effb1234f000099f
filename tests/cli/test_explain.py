"""`explain`: the decision drawn on the policy's own text."""

from __future__ import annotations

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
def test_drawn(policies: Path, monkeypatch: pytest.MonkeyPatch, name: str, width: int) -> None:
    done = run(
        "explain", policies.name, "-r", "-", stdin=json.dumps(CASES[name]), cwd=policies.parent,
        env={"COLUMNS": str(width)},
    )  # fmt: skip
    assert done.returncode == 0
    assert_golden(GOLDEN / f"explain_{name}_{width}.txt", done.stdout)


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


def test_hostile_values_cannot_draw(policies: Path) -> None:
    request = retrieve(tenant=HOSTILE, labels=[HOSTILE], readers=[{"type": "User", "id": HOSTILE}])
    request["principal"] = {**ANN, "id": HOSTILE, "tenant": HOSTILE}
    request["context"] = {"agent": {"type": "Agent", "id": HOSTILE}}
    for more in ((), ("--json",)):
        done = run("explain", policies, "-r", "-", *more, stdin=json.dumps(request))
        assert done.returncode == 0
        assert not re.search("[^\\x20-\\x7e\\n✓✗·…│├└─←]", done.stdout)
        if not more:
            assert max(map(len, done.stdout.splitlines())) < 30_000


def test_invalid_policies_are_1(cli: Cli, tmp_path: Path) -> None:
    assert cli("explain", tmp_path, "-r", "-", stdin=refund(1)) == 1
