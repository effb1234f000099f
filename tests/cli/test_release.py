"""`release` and `admit`: the text that may go on standard output, and a status that cannot be misread."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

POLICIES = """
module chat
use ai
permit own: release on Output for User when output.tenant == principal.tenant
permit models: invoke on Model for User
require scrub: release on Output redact(["email"])
require scrub_input: invoke on Model redact(["email"])
forbid sourced: release on Output when "secret" in output.labels
"""
ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": []}


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    (tmp_path / "chat.pol").write_text(POLICIES)
    for name, labels in (("open.json", []), ("secret.json", ["secret"])):
        output = {"type": "Output", "id": "o", "tenant": "acme", "labels": labels}
        (tmp_path / name).write_text(json.dumps({"principal": ANN, "action": "release", "resource": output}))
    invoke = {"principal": ANN, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    (tmp_path / "invoke.json").write_text(json.dumps(invoke))
    return tmp_path


def test_what_may_leave_is_printed_and_nothing_else(chat: Path, cli: Cli) -> None:
    assert cli("release", chat / "chat.pol", "-r", chat / "open.json", stdin="to bob@acme.com") == 0
    assert cli.out == "to [email]"
    assert cli.err == "found email at 3-15\n"


def test_what_may_not_leave_is_3(chat: Path, cli: Cli) -> None:
    assert cli("release", chat / "chat.pol", "-r", chat / "secret.json", stdin="to bob@acme.com") == 3
    assert cli.out == ""
    assert "bob" not in cli.err
    assert cli("release", chat / "chat.pol", "-r", chat / "secret.json", "--json", stdin="bob@acme.com") == 3
    assert json.loads(cli.out)["text"] is None


def test_a_request_for_something_else_is_2(chat: Path, cli: Cli) -> None:
    assert cli("release", chat / "chat.pol", "-r", chat / "invoke.json", stdin="x") == 2
    assert cli("admit", chat / "chat.pol", "-r", chat / "open.json", stdin="x") == 2
    assert cli("release", chat / "chat.pol", "-r", chat / "open.json", chat / "nothing.txt") == 2


def test_texts_files_and_messages_go_in(chat: Path, cli: Cli) -> None:
    asked = (chat / "chat.pol", "-r", chat / "invoke.json")
    assert cli("admit", *asked, stdin="to bob@acme.com") == 0
    assert cli.out == "to [email]"
    (chat / "note.txt").write_text("to bob@acme.com")
    assert cli("admit", *asked, chat / "note.txt") == 0
    assert cli.out == "to [email]"
    (chat / "messages.json").write_text(json.dumps([{"role": "user", "content": "bob@acme.com"}]))
    assert cli("admit", *asked, chat / "messages.json", "--messages") == 0
    assert json.loads(cli.out) == [{"role": "user", "content": "[email]"}]
