"""`schema`: what rules can speak about, and tools from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli
from tests.support.golden import assert_golden

GOLDEN = Path(__file__).parent / "golden"
LISTED = {
    "tools": [
        {
            "name": "send_mail",
            "description": "Sends mail",
            "inputSchema": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
            "annotations": {"openWorldHint": False},
        }
    ]
}


def test_import(cli: Cli) -> None:
    assert cli("schema", "import", "-", "--module", "mail", stdin=LISTED) == 0
    assert_golden(GOLDEN / "schema_import.pol", cli.out)
    assert "note: send_mail: " in cli.err
    text = cli.out
    assert cli("check", "-", stdin=text) == 0
    assert cli("fmt", "-", stdin=text) == 0
    assert cli.out == text
    assert cli("schema", "import", "-", "--trust-annotations", "--quiet", stdin=LISTED) == 0
    assert "sends_outside: false" in cli.out
    assert cli.err == ""


def test_import_to_a_file_does_not_overwrite(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "tools.pol"
    assert cli("schema", "import", "-", "--out", out, stdin=LISTED) == 0
    assert cli.out == ""
    assert cli("check", out) == 0
    assert cli("schema", "import", "-", "--out", out, stdin=LISTED) == 2
    assert cli("schema", "import", "-", "--out", out, "--force", stdin=LISTED) == 0


def test_import_with_a_prefix(cli: Cli, tmp_path: Path) -> None:
    for server in ("github", "sentry"):
        out = tmp_path / f"{server}.pol"
        assert (
            cli("schema", "import", "-", "--module", server, "--prefix", f"{server}_", "--out", out, stdin=LISTED) == 0
        )
        assert f"tool {server}_send_mail(" in out.read_text()
        assert f"note: {server}_send_mail: " in cli.err
    assert cli("check", tmp_path) == 0
    assert cli("schema", "import", "-", "--prefix", "", stdin=LISTED) == 2
    assert cli("schema", "import", "-", "--prefix", "\udc80", stdin=LISTED) == 2
    assert "--prefix" in cli.err


def test_import_of_a_recording(cli: Cli) -> None:
    answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": LISTED})
    other = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress"})
    for recorded in (f"{other}\n{answer}\n", f"event: message\ndata: {other}\n\nevent: message\ndata: {answer}\n\n"):
        assert cli("schema", "import", "-", stdin=recorded) == 0
        assert "tool send_mail(to: String)" in cli.out
        assert "note: /0: a message that is not an answer" in cli.err
    for broken in (f"{answer}\n{answer[:-1]}\n", f"data: {answer}\n\nevent: endpoint\ndata: /messages\n\n"):
        assert cli("schema", "import", "-", stdin=broken) == 2
        assert cli.out == ""
        assert "line " in cli.err
        assert "= help: expected one JSON value, one on each line" in cli.err


def test_import_of_nothing(cli: Cli) -> None:
    assert cli("schema", "import", "-", stdin={}) == 1
    assert cli("schema", "import", "-", stdin="") == 2
    assert cli("schema", "import", "-", stdin='{"tools": [], "tools": []}') == 2
    assert cli("schema", "import", "-", "--module", "no name", stdin=LISTED) == 2
    assert cli.out == ""


def test_show(policies: Path, cli: Cli) -> None:
    assert cli("schema", "show", policies) == 0
    assert_golden(GOLDEN / "schema_show.txt", cli.out)
    assert cli("schema", "show", policies, "--json") == 0
    found = json.loads(cli.out)
    assert [tool["name"] for tool in found["tools"]] == ["issue_refund"]
    assert found["tools"][0]["args"][0] == {"name": "amount", "type": "Number", "optional": False}
