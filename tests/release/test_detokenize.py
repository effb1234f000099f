"""`detokenize`: values go back to whom a rule allows it, and nobody learns why a token does not open."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine
from policyengine.release.inspection import Inspection
from policyengine.release.tokenizing import Keys
from tests.cli.running import run
from tests.server.serving import serving

RULES = """
module tokens
use ai
permit all_of_it: release on Output for User
require hidden: release on Output tokenize(["email", "phone"])
permit reveal: detokenize on Output for User
  when "support" in principal.roles and output.tenant == principal.tenant and not ("phone" in output.findings)
"""
KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
ENGINE = Engine.from_text(RULES, inspection=Inspection(key=KEY))
SUE = {"type": "User", "id": "sue", "tenant": "acme", "roles": ["support"]}
ANN = {**SUE, "id": "ann", "roles": []}
TEXT = "Write to bob@acme.com or eve@acme.com."


def sealed(text: str = TEXT, tenant: str = "acme") -> str:
    released = ENGINE.release(text, principal=ANN, output={"tenant": tenant})
    assert released.allowed
    return str(released.text)


def test_values_go_back_to_whom_a_rule_allows_it() -> None:
    assert "bob" not in sealed()
    given = ENGINE.detokenize(sealed(), principal=SUE, output={"tenant": "acme"})
    assert (given.allowed, given.text) == (True, TEXT)
    again = asyncio.run(ENGINE.detokenize_async(sealed(), principal=SUE, output={"tenant": "acme"}))
    assert again.text == TEXT
    assert ENGINE.detokenize("no token", principal=SUE, output={"tenant": "acme"}).text == "no token"
    # A rule reads which kinds there are.
    assert not ENGINE.detokenize(sealed("+1 (202) 555-0143"), principal=SUE, output={"tenant": "acme"}).allowed


@pytest.mark.parametrize(
    "token",
    [
        sealed("bob@globex.com", "globex"),
        f"[email:{Keys(OTHER, 'acme').token('email', 'bob@acme.com')}]",
        "[email:" + "k" * 48 + "]",
        sealed("bob@acme.com").replace("email", "iban"),
    ],
)
def test_a_token_that_does_not_open_is_denied_without_telling_why(token: str) -> None:
    given = ENGINE.detokenize(f"{sealed()} {token}", principal=SUE, output={"tenant": "acme"})
    assert (given.allowed, given.text) == (False, None)
    assert [(one.code, one.message) for one in given.errors] == [("POL714", "a token cannot be detokenized")]


def test_others_are_denied_before_anything_is_opened() -> None:
    for principal, output in ((ANN, {"tenant": "acme"}), (SUE, {"tenant": "globex"}), (SUE, {})):
        given = ENGINE.detokenize(sealed(), principal=principal, output=output)
        assert (given.allowed, given.errors) == (False, ())
    assert not ENGINE.detokenize(sealed(), principal=SUE, output={"tenant": "acme", "findings": []}).allowed


def test_over_http(tmp_path: Path) -> None:
    (tmp_path / "tokens.pol").write_text(RULES)
    settings: dict[str, Any] = {"texts": {"key": base64.b64encode(KEY).decode()}}
    with serving(tmp_path, **settings) as client:
        subject = {"type": "User", "id": "sue", "properties": {"tenant": "acme", "roles": ["support"]}}
        asked = {"subject": subject, "output": {"tenant": "acme"}, "text": sealed()}
        answer = client.post("/v1/detokenize", json=asked).json()
        assert (answer["released"], answer["text"]) == (True, TEXT)
        answer = client.post("/v1/detokenize", json={**asked, "output": {"tenant": "globex"}}).json()
        assert "text" not in answer
        assert answer["released"] is False


def test_on_the_command_line(tmp_path: Path, warm: Path) -> None:
    (tmp_path / "tokens.pol").write_text(RULES)
    (tmp_path / "key").write_text(base64.b64encode(KEY).decode())
    (tmp_path / "text").write_text(sealed())
    output = {"type": "Output", "id": "o", "tenant": "acme"}
    asked = {"principal": SUE, "action": "detokenize", "resource": output}
    (tmp_path / "request.json").write_text(json.dumps(asked))
    parts = ["tokens.pol", "-r", "request.json", "text", "--key-file", "key"]
    done = run("detokenize", *parts, warm=warm, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, TEXT)
