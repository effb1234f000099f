"""`approvals`: what waits is listed and shown, and only those whom the rule names say yes or no."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policyengine.engine import Engine
from policyengine.state.approval_tasks import Task
from tests.cli.conftest import Cli
from tests.server.test_access import PEOPLE, POLICIES


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.pol").write_text(POLICIES, encoding="utf-8")
    (tmp_path / "people.json").write_text(json.dumps(PEOPLE), encoding="utf-8")
    return tmp_path


@pytest.fixture
def engine(shop: Path) -> Engine:
    return Engine.load(shop / "shop.pol", entities=shop / "people.json", state=f"sqlite:///{shop}/state.db")


def waiting(engine: Engine, order: str = "A-1") -> Task:
    resource = {"type": "Tool", "id": "issue_refund", "args": {"amount": 400, "order": order}}
    grant = engine.authorize(principal={"type": "User", "id": "ann"}, action="call", resource=resource)
    assert grant.access_request is not None
    return engine.approvals.request(grant.access_request, why="the customer is right")


def options(shop: Path) -> tuple[str, ...]:
    return (
        "--state", f"sqlite:///{shop}/state.db", "--policies", str(shop / "shop.pol"),
        "--entities", str(shop / "people.json"),
    )  # fmt: skip


def test_what_waits_is_listed_shown_and_approved(shop: Path, engine: Engine, cli: Cli) -> None:
    state = ("--state", f"sqlite:///{shop}/state.db")
    assert cli("approvals", "list", *state) == 0
    assert "nothing waits" in cli.err
    task = waiting(engine, "A-\x1b[31m1")
    assert cli("approvals", "list", *state, "--json") == 0
    [listed] = json.loads(cli.out)
    assert (listed["id"], listed["requester"], "approval" in listed) == (task.id, 'User::"ann"', False)
    assert cli("approvals", "list", *state) == 0
    assert task.id in cli.out
    assert "call on" in cli.out
    assert cli("approvals", "list", *state, "--tenant", "other", "--json") == 0
    assert json.loads(cli.out) == []
    assert cli("approvals", "show", task.id, *state) == 0
    for text in (
        "amount = 400",
        'User::"ann"',
        'shop.person: one person of Group::"finance"',
        "holds       900 seconds",
    ):
        assert text in cli.out
    assert "\x1b" not in cli.out
    assert cli("approvals", "approve", task.id, "--as", "User::cleo", "--why", "fine", *options(shop)) == 0
    assert "is approved" in cli.out
    assert engine.approvals.show(task.id).log[0]["why"] == "fine"


def test_one_can_say_no(shop: Path, engine: Engine, cli: Cli) -> None:
    task = waiting(engine)
    assert cli("approvals", "reject", task.id, "--as", 'User::"cleo"', "--json", *options(shop)) == 0
    assert json.loads(cli.out)["status"] == "denied"


@pytest.mark.parametrize(
    ("who", "status"), [("User::ann", 3), ("User::bob", 3), ("Agent::bot", 3), ("cleo", 2), ("User::", 2)]
)
def test_who_may_not(shop: Path, engine: Engine, cli: Cli, who: str, status: int) -> None:
    task = waiting(engine)
    assert cli("approvals", "approve", task.id, "--as", who, *options(shop)) == status
    assert engine.approvals.show(task.id).status == "pending"


def test_what_is_missing(shop: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLICYENGINE_STATE", raising=False)
    monkeypatch.delenv("POLICYENGINE_POLICIES", raising=False)
    state = ("--state", f"sqlite:///{shop}/state.db")
    assert cli("approvals", "list") == 2
    assert cli("approvals", "list", "--state", "memory://") == 2
    assert cli("approvals", "list", "--state", "nonsense") == 2
    assert cli("approvals", "list", "--state", "redis://127.0.0.1:1/0") == 1
    assert cli("approvals", "show", "nonsense", *state) == 3
    assert cli("approvals", "approve", "nonsense", "--as", "User::cleo", *state) == 2
    monkeypatch.setenv("POLICYENGINE_STATE", state[1])
    assert cli("approvals", "list") == 0


def test_a_person_is_asked_and_the_approval_used(shop: Path, cli: Cli) -> None:
    for amount in (400, 401):
        resource = {"type": "Tool", "id": "issue_refund", "args": {"amount": amount, "order": "A-1"}}
        asked = {"principal": {"type": "User", "id": "ann"}, "action": "call", "resource": resource}
        (shop / f"{amount}.json").write_text(json.dumps(asked), encoding="utf-8")
    state, _, policies, *entities = options(shop)[1:]
    known = ("--entities", entities[-1], "--state", state)

    def authorize(*more: str, amount: int = 400) -> tuple[int, dict[str, Any]]:
        status = cli("authorize", policies, "--request", str(shop / f"{amount}.json"), *known, *more)
        return status, json.loads(cli.out) if cli.out else {}

    status, denied = authorize("--ask", "the customer is right")
    assert (status, denied["task"]["status"]) == (3, "pending")
    task = denied["task"]["id"]
    assert authorize("--approval", task) == (3, {})
    assert "the task is pending" in cli.err
    assert cli("approvals", "approve", task, "--as", "User::cleo", *options(shop)) == 0
    assert authorize("--approval", task, amount=401)[1]["approval_denied"] == "out_of_scope"
    status, allowed = authorize("--approval", task, "--ask", "nothing is missing")
    assert (status, "task" in allowed, allowed["approval"]["id"][:4]) == (0, False, "apr_")
    status, again = authorize("--approval", allowed["approval"]["id"])
    assert (status, again["approval_denied"]) == (3, "approval_expired")
    assert authorize("--approval", "arq_" + "0" * 32)[0] == 3
