"""`canary`: tokens made, listed and forgotten, and found by every command that looks at texts."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from policyengine.detect.content.canary import id_of
from tests.cli.conftest import Cli

RULES = """
module m
use ai
permit p: release on Output for User
require r: release on Output redact(["canary"])
"""
REQUEST = {
    "principal": {"type": "User", "id": "ann", "tenant": "acme", "roles": []},
    "action": "release",
    "resource": {"type": "Output", "id": "o", "tenant": "acme"},
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "made" / "canaries.json"


def minted(cli: Cli, file: Path, *words: str) -> str:
    assert cli("canary", "mint", *words, "--file", file) == 0
    return cli.out.strip()


def test_what_was_minted_is_found_until_it_is_forgotten(cli: Cli, file: Path, tmp_path: Path) -> None:
    token = minted(cli, file, "--prompt", "support")
    assert f"canary {id_of(token)}, for the prompt support" in cli.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    minted(cli, file, "--document", "d-17")
    assert cli("canary", "list", "--file", file, "--json") == 0
    assert [{name: part for name, part in one.items() if name != "made"} for one in json.loads(cli.out)] == [
        {"id": id_of(token), "prompt": "support"},
        {"id": json.loads(cli.out)[1]["id"], "document": "d-17"},
    ]
    assert token not in cli.out
    leaked = tmp_path / "leaked.txt"
    leaked.write_text(f"The notes say {token[::-1].upper()}.")
    assert cli("scan", leaked, "--canaries", file, "--json") == 3
    assert json.loads(cli.out)["detector"] == f"canary:{id_of(token)}"
    (tmp_path / "m.pol").write_text(RULES)
    (tmp_path / "request.json").write_text(json.dumps(REQUEST))
    release = ("release", tmp_path / "m.pol", leaked, "-r", tmp_path / "request.json")
    assert cli(*release, "--canaries", file) == 0
    assert cli.out == "The notes say [canary]."
    (tmp_path / "settings.toml").write_text(f"[texts]\ncanary_file = {json.dumps(str(file))}\n")
    assert cli(*release, "--config", tmp_path / "settings.toml") == 0
    assert cli.out == "The notes say [canary]."
    assert cli("canary", "forget", id_of(token), "--file", file) == 0
    assert cli("scan", leaked, "--canaries", file) == 0


def test_the_file_of_a_directory_is_read_without_a_word(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli("canary", "mint", "--tenant", "acme", "--json") == 0
    token = json.loads(cli.out)["token"]
    assert cli("scan", "-", stdin=token) == 3
    assert cli("canary", "list") == 0
    assert "acme" in cli.out
    Path(".policyengine/canaries.json").chmod(0o666)
    assert cli("scan", "-", stdin=token) == 2
    assert "others may write to it" in cli.err


def test_what_is_not_meant(cli: Cli, file: Path) -> None:
    assert cli("canary", "mint", "--file", file) == 2
    assert cli("canary", "mint", "--tenant", "a", "--prompt", "b", "--file", file) == 2
    assert cli("canary", "list", "--file", file) == 1
    minted(cli, file, "--tenant", "acme")
    assert cli("canary", "forget", "00000000", "--file", file) == 1
    file.write_text('{"canaries": [{"token": "x"}]}')
    assert cli("canary", "list", "--file", file) == 1
    assert "not a canary file" in cli.err
