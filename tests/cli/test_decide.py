"""`decide`: the decision as JSON, and an exit status that cannot be misread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import ANN, RELEASE, Cli, refund, retrieve
from tests.cli.running import run


def test_allow_is_0_and_prints_the_decision(policies: Path, cli: Cli) -> None:
    assert cli("decide", policies, "--request", "-", stdin=refund(40)) == 0
    decision = json.loads(cli.out)
    assert decision["decision"] == "allow"
    assert decision["allowed"] is True
    assert decision["determining"] == ["support.refund"]


def test_deny_is_3(policies: Path, cli: Cli) -> None:
    assert cli("decide", policies, "--request", "-", stdin=retrieve(labels=["legal_hold"])) == 3
    assert json.loads(cli.out)["reasons"] == ["the document is on legal hold"]


def test_a_missing_approval_is_a_deny(policies: Path, cli: Cli) -> None:
    assert cli("decide", policies, "--request", "-", stdin=refund(400)) == 3
    assert json.loads(cli.out)["approvals"][0]["by"] == {"type": "Group", "id": "finance"}


def test_an_approval_that_was_verified(policies: Path, cli: Cli) -> None:
    approved = ("--approved", "support.finance_approval")
    assert cli("decide", policies, "--request", "-", *approved, stdin=refund(400)) == 0
    assert json.loads(cli.out)["approvals"] == []
    assert cli("explain", policies, "--request", "-", "--json", *approved, stdin=refund(400)) == 0
    assert json.loads(cli.out)["decision"]["decision"] == "allow"


@pytest.mark.parametrize(
    "name", ["support.finance", "finance_approval", "support.refund", "", "support.finance_approvals"]
)
def test_an_approval_that_no_rule_demands_is_2(policies: Path, cli: Cli, name: str) -> None:
    for command in ("decide", "explain"):
        assert cli(command, policies, "--request", "-", "--approved", name, stdin=refund(400)) == 2
        assert "demands an approval" in cli.err
    question = ("--principal", json.dumps(ANN), "--action", "retrieve", "--resource-type", "Document")
    assert cli("filter", policies, *question, "--approved", name) == 2


@pytest.mark.parametrize(
    ("promised", "status"),
    [
        ((), 4),
        (("notification",), 4),
        (("",), 4),
        (("redact",), 0),
        (("notification,redact",), 0),
        (("x", "redact"), 0),
    ],
)
def test_what_is_owed_must_be_promised(policies: Path, cli: Cli, promised: tuple[str, ...], status: int) -> None:
    options = [word for name in promised for word in ("--fulfils", name)]
    assert cli("decide", policies, "--request", "-", *options, stdin=RELEASE) == status
    assert json.loads(cli.out)["allowed"] is False
    assert ("redact" in cli.err) is (status == 4)


def test_shell_and_never_lets_an_unmet_obligation_through(policies: Path, warm: Path) -> None:
    assert run("decide", policies, "-r", "-", "--quiet", warm=warm, stdin=json.dumps(RELEASE)).returncode != 0
    done = run("decide", policies, "-r", "-", "--quiet", "--fulfils", "redact", warm=warm, stdin=json.dumps(RELEASE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_wire_form_is_read_as_the_service_reads_it(policies: Path, cli: Cli) -> None:
    wire = {
        "subject": {"type": "User", "id": "ann", "properties": {k: ANN[k] for k in ("tenant", "roles", "clearance")}},
        "action": {"name": "call"},
        "resource": {"type": "Tool", "id": "issue_refund", "properties": {"args": {"amount": 40, "order": "A-1"}}},
        "an_unknown_member": 1,
    }
    assert cli("decide", policies, "--request", "-", stdin=wire) == 0


@pytest.mark.parametrize("name", ["id", "type"])
def test_a_property_cannot_pass_for_identity(policies: Path, cli: Cli, name: str) -> None:
    wire = {
        "subject": {**{k: ANN[k] for k in ("type", "id")}, "properties": {**ANN, name: "x"}},
        "action": {"name": "retrieve"},
        "resource": {
            "type": "Document",
            "id": "d1",
            "properties": {"tenant": "acme", "classification": 1, "labels": [], "readers": [], name: "x"},
        },
    }
    assert cli("decide", policies, "--request", "-", stdin=wire) == 0


BANNED = """use ai
extend Document { keeper?: User }
permit all: retrieve on Document
forbid banned: retrieve on Document for User in Group::"banned"
forbid theirs: retrieve on Document when document has keeper and document.keeper in Group::"banned"
"""
PLACE = {"parents": [{"type": "Group", "id": "banned"}]}
EVE = {"type": "User", "id": "eve"}


@pytest.mark.parametrize(
    "members", [{}, {"properties": {}}, PLACE, {"properties": PLACE}, {"x": 1, "properties": PLACE}]
)
def test_what_an_entity_is_in_counts_wherever_it_stands(tmp_path: Path, cli: Cli, members: dict[str, Any]) -> None:
    """In every form of a request, and whether it is the subject's or that of an entity in the resource."""
    path = tmp_path / "banned.pol"
    path.write_text(BANNED, encoding="utf-8")
    status = 3 if "parents" in str(members) else 0
    document = {"type": "Document", "id": "d"}
    who, other = {**EVE, **members}, {"type": "User", "id": "ann"}
    forms = (("subject", {"name": "retrieve"}), ("principal", "retrieve"))
    for name, action in forms:
        for request in (
            {name: who, "resource": document},
            {name: other, "resource": {**document, "properties": {"keeper": who}}},
            {name: other, "resource": {**document, "keeper": who}},
        ):
            for command in ("decide", "explain"):
                found = cli(command, path, "--request", "-", stdin={**request, "action": action})
                assert found == (status if command == "decide" else 0), (request, cli.err)
    asked = ("filter", path, "--principal", json.dumps(who), "--action", "retrieve", "--resource-type", "Document")
    assert cli(*asked) == status


def test_entities_win_over_the_request(policies: Path, cli: Cli, tmp_path: Path) -> None:
    entities = tmp_path / "entities.json"
    entities.write_text(json.dumps([{"type": "Document", "id": "d1", "classification": 9}]), encoding="utf-8")
    assert cli("decide", policies, "--request", "-", stdin=retrieve()) == 0
    assert cli("decide", policies, "--request", "-", "--entities", entities, stdin=retrieve()) == 3


NO_REQUESTS: dict[str, Any] = {
    "nothing": "",
    "white space": "  \n",
    "not JSON": "{",
    "two values": "{} {}",
    "duplicate keys": '{"principal": {"type": "User", "id": "a", "id": "b"}, "action": "x", "resource": {}}',
    "NaN": '{"principal": {"type": "User", "id": "a", "clearance": NaN}}',
    "infinite": '{"principal": {"type": "User", "id": "a", "clearance": 1e999}}',
    "endless digits": '{"principal": ' + "9" * 100_000 + "}",
    "deep": "[" * 100_000,
    "deep in an entity": '{"principal": {"type": "User", "id": "a", "x": ' + "[" * 5000 + "]" * 5000 + "}}",
    "not UTF-8": b'{"principal": "\xff"}',
    "half a surrogate": '{"principal": {"type": "User", "id": "\\ud800"}}',
    "an array": [],
    "a batch": {"subject": {}, "evaluations": []},
    "no principal": {"action": "retrieve", "resource": {"type": "Document", "id": "d"}},
    "no action": {"principal": ANN, "resource": {"type": "Document", "id": "d"}},
    "no id": {**refund(1), "principal": {"type": "User"}},
    "empty id": {**refund(1), "principal": {"type": "User", "id": ""}},
    "an id that is a number": {**refund(1), "principal": {"type": "User", "id": 5}},
    "a principal that is text": {**refund(1), "principal": "ann"},
    "an action that is a number": {**refund(1), "action": 5},
    "an action without name": {**refund(1), "action": {}},
    "a context that is a list": {**refund(1), "context": []},
    "an unknown member": {**refund(1), "contxt": {}},
    "a subject without id": {
        "subject": {"type": "User"},
        "action": {"name": "x"},
        "resource": {"type": "T", "id": "1"},
    },
    "properties that are a list": {
        "subject": {"type": "User", "id": "a", "properties": []},
        "action": {"name": "x"},
        "resource": {"type": "T", "id": "1"},
    },
}


@pytest.mark.parametrize("what", NO_REQUESTS)
def test_what_is_no_request_is_2_and_never_a_decision(policies: Path, cli: Cli, what: str) -> None:
    for command in ("decide", "explain"):
        assert cli(command, policies, "--request", "-", stdin=NO_REQUESTS[what]) == 2, cli.out
        assert cli.out == ""
        assert cli.err.startswith("error: ")


@pytest.mark.parametrize("amount", ["40", True, None, [], {}, "\u202e"])
def test_a_value_of_another_shape_is_a_deny_with_errors(policies: Path, cli: Cli, amount: Any) -> None:
    assert cli("decide", policies, "--request", "-", stdin=refund(amount)) == 3
    assert json.loads(cli.out)["errors"]


def test_an_unknown_action_is_a_deny(policies: Path, cli: Cli) -> None:
    assert cli("decide", policies, "--request", "-", stdin={**refund(1), "action": "zap"}) == 3
    assert "not declared" in json.loads(cli.out)["summary"]


def test_invalid_policies_are_1(tmp_path: Path, cli: Cli) -> None:
    path = tmp_path / "x.pol"
    path.write_text("use ai\npermit a: retrieve on Document when document.ownr == 1\n", encoding="utf-8")
    assert cli("decide", path, "--request", "-", stdin=refund(1)) == 1
    assert cli.out == ""
    assert "did you mean `owner`?" in cli.err


def test_missing_files_are_2(policies: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("decide", tmp_path / "none", "--request", "-", stdin=refund(1)) == 2
    assert cli("decide", policies, "--request", tmp_path / "none.json") == 2
    assert cli("decide", policies, "--request", tmp_path) == 2
    assert cli("decide", policies, "--request", "-", "--entities", tmp_path / "none.json", stdin=refund(1)) == 2
    assert cli("decide", policies) == 2
    assert cli("decide") == 2
