"""What the tests of the command line share: a scaffolded project, and the sample policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from policyengine.cli import app

POLICIES = """module support

use ai

extend User { clearance: Int, manager?: User }
extend Document { readers: List<User> }
tool issue_refund(amount: Number, order: String) { sends_outside: false, reads_untrusted: false }

define staff: principal is User and "support" in principal.roles
define senior(u: User): u.clearance > 3 or "boss" in u.roles

permit own_documents: retrieve on Document for User
  when document.tenant == principal.tenant
   and document.classification <= principal.clearance

permit readers: retrieve on Document for User
  # either way will do
  when (principal has manager and senior(principal.manager))  # the "boss"
    or any r in document.readers: r == principal

forbid legal_hold: retrieve on Document
  when "legal_hold" in document.labels
  unless principal in Group::"legal"
  because "the document is on legal hold"

permit refund: call on Tool::"issue_refund" for User
  when staff and tool.args.amount <= 5000

require finance_approval: call on Tool::"issue_refund"
  when tool.args.amount > 100
  approval(by: Group::"finance", within: 15m)

permit answer: release on Output

require scrub: release on Output
  redact(["email"])

test "a small refund needs nobody" {
  principal User::"ann" { tenant: "acme", roles: ["support"], clearance: 1 }
  call on Tool::"issue_refund" { args: { amount: 40, order: "A-1" } }
  expect allow by refund
}
"""

ANN = {"type": "User", "id": "ann", "tenant": "acme", "roles": ["support"], "clearance": 2}


def refund(amount: Any) -> dict[str, Any]:
    return {
        "principal": ANN,
        "action": "call",
        "resource": {"type": "Tool", "id": "issue_refund", "args": {"amount": amount, "order": "A-1"}},
    }


def retrieve(**attributes: Any) -> dict[str, Any]:
    document = {"type": "Document", "id": "d1", "tenant": "acme", "classification": 1, "labels": [], "readers": []}
    return {"principal": ANN, "action": "retrieve", "resource": {**document, **attributes}}


RELEASE = {"principal": ANN, "action": "release", "resource": {"type": "Output", "id": "o1"}}


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A file of policies, in a directory where nothing else is."""
    path = tmp_path / "support.pol"
    path.write_text(POLICIES, encoding="utf-8")
    return path


@pytest.fixture
def cli() -> Cli:
    return Cli()


class Cli:
    """The application called in process. `out` and `err` are what the last call printed."""

    out = err = ""

    def __call__(self, *words: str | Path, stdin: Any = "", width: int = 100) -> int:
        text = stdin if isinstance(stdin, str | bytes) else json.dumps(stdin)
        result = CliRunner().invoke(app, [str(word) for word in words], input=text, env={"COLUMNS": str(width)})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.out, self.err = result.stdout, result.stderr
        return result.exit_code
