"""`keys`: API keys made, listed, rotated, revoked and checked; and `serve` with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "keys.json")


def create(cli: Cli, store: str, *words: str) -> dict[str, Any]:
    assert cli("keys", "create", "ci", *(words or ("--scope", "decide")), "--store", store, "--json") == 0
    found: dict[str, Any] = json.loads(cli.out)
    return found


def check(cli: Cli, store: str, text: str, *words: str) -> str:
    cli("keys", "check", "--store", store, "--json", *words, stdin=text)
    state: str = json.loads(cli.out)["state"]
    return state


def test_a_key_is_shown_once(cli: Cli, store: str) -> None:
    made = create(cli, store, "--scope", "decide", "--scope", "search", "--tenant", "acme", "--address", "10.0.0.0/8")
    assert made["key"].startswith("pe_sk_")
    assert (made["scopes"], made["tenant"], made["addresses"]) == (["decide", "search"], "acme", ["10.0.0.0/8"])
    assert cli("keys", "list", "--store", store) == 0
    assert made["id"] in cli.out
    secret = made["key"].rpartition("_")[2]
    assert secret not in cli.out
    assert cli("keys", "list", "--store", store, "--json") == 0
    assert secret not in cli.out
    assert secret not in Path(store).read_text()
    assert not {"digest", "secrets_", "key"} & json.loads(cli.out)[0].keys()


def test_a_key_that_is_good_is_told_from_all_others(cli: Cli, store: str) -> None:
    made = create(cli, store, "--scope", "decide", "--address", "10.0.0.0/8")
    text = made["key"]
    assert check(cli, store, text) == "good"
    assert check(cli, store, text, "--address", "10.1.1.1") == "good"
    assert check(cli, store, text, "--address", "11.1.1.1") == "not from this address"
    assert check(cli, store, text[:-1]) == "not a key"
    assert cli("keys", "check", "--store", store, stdin="x") == 3
    assert cli("keys", "revoke", made["id"], "--store", store) == 0
    assert check(cli, store, text) == "revoked"


def test_a_rotation_shows_a_new_text_and_both_are_good(cli: Cli, store: str) -> None:
    made = create(cli, store)
    assert cli("keys", "rotate", made["id"], "--store", store, "--json") == 0
    rotated = json.loads(cli.out)
    assert rotated["id"] == made["id"]
    assert rotated["key"] != made["key"]
    assert check(cli, store, made["key"]) == check(cli, store, rotated["key"]) == "good"
    assert cli("keys", "rotate", made["key"], "--overlap", "0s", "--store", store, "--json") == 0
    assert check(cli, store, rotated["key"]) == "unknown"
    assert cli("keys", "revoke", made["id"], "--store", store) == 0
    assert cli("keys", "rotate", made["id"], "--store", store) == 1
    assert "revoked" in cli.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--scope", "decid"), "did you mean `decide`?"),
        (("--scope", "decide", "--address", "home"), "not an address"),
        (("--scope", "decide", "--expires", "soon"), "not a duration"),
    ],
)
def test_what_cannot_be_meant_makes_no_key(cli: Cli, store: str, words: tuple[str, ...], said: str) -> None:
    assert cli("keys", "create", "ci", *words, "--store", store) == 2
    assert said in cli.err
    assert not Path(store).exists()


def test_a_store_or_a_key_that_is_not_there(cli: Cli, store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli("keys", "list", "--store", store) == 1
    assert cli("keys", "list") == 2
    made = create(cli, store)
    assert cli("keys", "revoke", made["id"][:-1], "--store", store) == 1
    assert made["id"] in cli.err
    monkeypatch.setenv("POLICYENGINE_KEYS__STORE", store)
    assert cli("keys", "list") == 0


def test_a_hash_key_that_is_lost_is_not_made_anew(cli: Cli, store: str) -> None:
    create(cli, store)
    Path(store + ".hash-key").unlink()
    assert cli("keys", "create", "x", "--scope", "decide", "--store", store) == 1
    assert "hashed with it" in cli.err


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    found: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda application, **options: found.update(options))
    return found


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "pdp.example"])
def test_insecure_is_for_this_machine_only(cli: Cli, policies: Path, served: dict[str, Any], host: str) -> None:
    assert cli("serve", policies, "--insecure", "--host", host) == 2
    assert not served


def test_without_credentials_nothing_is_served(cli: Cli, policies: Path, served: dict[str, Any]) -> None:
    assert cli("serve", policies) == 2
    assert "--new-key" in cli.err
    assert not served


def test_a_new_key_is_shown_with_a_line_that_asks(
    cli: Cli, policies: Path, served: dict[str, Any], store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", {})
    assert cli("serve", policies, "--new-key", "--keys", store, "--quiet") == 0
    (line,) = [line for line in cli.err.splitlines() if "curl" in line]
    text = line.split("Bearer ")[1].split("'")[0]
    assert check(cli, store, text) == "good"
    assert line.endswith("http://127.0.0.1:8080/readyz")
    assert served["http"] == "policyengine.server.listener:Listener"


def test_settings_are_printed_without_secrets(cli: Cli, policies: Path, served: dict[str, Any]) -> None:
    assert cli("serve", policies, "--insecure", "--print-config") == 0
    assert "insecure = true" in cli.out
    assert 'page_key = "********"' in cli.out
    assert not served
