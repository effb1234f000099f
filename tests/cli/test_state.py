"""`policyengine state`: blocks in a store that nodes share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from policyengine import Engine
from policyengine.cli import app
from tests.blocks.test_blocks import POLICIES


def run(*args: str, url: str = "") -> Result:
    return CliRunner().invoke(app, ["state", *args, *(["--state", url] if url else [])])


def test_blocks_are_set_listed_and_lifted(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    made = run("block", "model", "m", "--for", "1h", "--why", "it lies", "--by", "ops", url=url)
    assert made.exit_code == 0
    assert made.stdout.startswith("blocked: model m, until 20")
    engine = Engine.from_text(POLICIES, state=url)
    asked = {"principal": {"type": "User", "id": "a"}, "action": "invoke", "resource": {"type": "Model", "id": "m"}}
    assert engine.decide(**asked).reasons == ("the model is blocked: it lies",)  # type: ignore[arg-type]
    engine.close()
    [listed] = json.loads(run("list", "--json", url=url).stdout)
    assert (listed["kind"], listed["id"], listed["why"], listed["by"]) == ("model", "m", "it lies", "ops")
    assert run("unblock", "model", "m", url=url).stdout == "unblocked: model m\n"
    assert json.loads(run("list", "--json", url=url).stdout) == []
    assert run("unblock", "model", "m", url=url).exit_code == 1


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (["block", "user", "x"], "what can be blocked is"),
        (["block", "model", ""], "an id has at least one character"),
        (["block", "model", "m", "--for", "1x"], "expected a duration"),
        (["block", "model", "m", "--for", "0s"], "expected a duration"),
        (["block", "model", "m", "--state", "memory://"], "belongs to one process"),
        (["block", "model", "m", "--state", "nosuch://x"], "no store is named"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, args: list[str], problem: str) -> None:
    url = "" if "--state" in args else f"sqlite:///{tmp_path}/state.db"
    result = run(*args, url=url)
    assert result.exit_code == 2
    assert problem in result.output


ASKED = '{"principal": {"type": "User", "id": "ann"}, "action": "invoke", "resource": {"type": "Model", "id": "m"}}'
LIMITED = """
module p
use ai
permit models: invoke on Model
limit rate: invoke on Model
  at most 2 requests per 1h by principal
"""


def test_a_request_is_authorized_and_settled(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    policies, request = tmp_path / "p.pol", tmp_path / "r.json"
    policies.write_text(LIMITED)
    request.write_text(ASKED)
    ask = ["authorize", str(policies), "--request", str(request), "--state", url]

    def authorize(*more: str) -> tuple[int, dict[str, Any]]:
        result = CliRunner().invoke(app, [*ask, *more])
        return result.exit_code, json.loads(result.stdout)

    status, granted = authorize("--idempotency-key", "k")
    assert (status, granted["decision"], granted["meters"][0]["remaining"]) == (0, "allow", 1.0)
    assert authorize("--idempotency-key", "k")[1]["reservation"]["replayed"]
    id_ = granted["reservation"]["id"]
    for _ in range(2):
        assert json.loads(run("settle", str(policies), id_, url=url).stdout)["limits"][0]["used"] == 1.0
    assert run("cancel", str(policies), id_, url=url).exit_code == 1
    assert run("renew", str(policies), "nosuch", url=url).exit_code == 1
    other = authorize()[1]["reservation"]["id"]
    status, refused = authorize()
    assert (status, refused["denied_by"]) == (3, ["p.rate"])
    assert run("renew", str(policies), other, "--for", "1h", url=url).exit_code == 0
    assert run("settle", str(policies), other, "--cost", "7", url=url).exit_code == 2
    assert run("cancel", str(policies), other, "--caller", "eve", url=url).exit_code == 1
    assert run("cancel", str(policies), other, url=url).exit_code == 0
    assert authorize()[0] == 0
