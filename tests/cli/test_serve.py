"""`serve`: what it refuses to serve, and the settings that it hands on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from tests.cli.conftest import POLICIES, Cli
from tests.support.paths import ROOT


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What uvicorn was asked to run, in place of running it; and the environment as it was then."""
    found: dict[str, Any] = {}
    monkeypatch.setattr("os.environ", {**os.environ, "POLICYENGINE_CACHE_DIR": str(tmp_path / "kept")})

    def instead(application: str, **options: Any) -> None:
        found.update(options, application=application, env=dict(os.environ))

    def supervised(config: uvicorn.Config, _: object) -> int:
        instead(str(config.app), factory=config.factory, port=config.port, workers=config.workers)
        return 0

    monkeypatch.setattr("uvicorn.run", instead)
    monkeypatch.setattr("policyengine.cli.serve.supervise", supervised)
    return found


def test_settings_reach_the_service(policies: Path, cli: Cli, served: dict[str, Any], tmp_path: Path) -> None:
    entities = tmp_path / "entities.json"
    entities.write_text("[]", encoding="utf-8")
    words = ("--entities", entities, "--port", "0", "--workers", "3", "--gate", "tests", "--no-reload", "--no-cache")
    assert cli("serve", policies, "--insecure", *words, "--log-format", "json") == 0
    assert served["application"] == "policyengine.server.app:application"
    assert (served["factory"], served["port"], served["workers"]) == (True, 0, 3)
    settings = {k: v for k, v in served["env"].items() if k.startswith("POLICYENGINE_")}
    assert len(settings.pop("POLICYENGINE_PAGE_KEY")) == 64
    # All workers share it.
    assert settings.pop("POLICYENGINE_STATE") == f"sqlite:///{Path('.policyengine/state.db').absolute()}"
    assert settings == {
        "POLICYENGINE_POLICIES": str(policies),
        "POLICYENGINE_ENTITIES": str(entities),
        "POLICYENGINE_GATE": "tests",
        "POLICYENGINE_RELOAD": "false",
        "POLICYENGINE_INSECURE": "true",
        "POLICYENGINE_LIMITS__CONCURRENCY": "128",
        "POLICYENGINE_LIMITS__WAIT": "0.25",
        "POLICYENGINE_LIMITS__HEADERS": "100",
        "POLICYENGINE_LIMITS__HEADER_BYTES": "65536",
        "POLICYENGINE_LIMITS__HEADER_SECONDS": "15.0",
        "POLICYENGINE_LIMITS__BODY_SECONDS": "60.0",
        "POLICYENGINE_LIMITS__READ_SECONDS": "30.0",
        "POLICYENGINE_LOG_FORMAT": "json",
        "POLICYENGINE_CACHE_DIR": "",
    }
    assert not (tmp_path / "kept").exists()
    assert cli.err == ""


def test_it_says_where_on_the_console(policies: Path, cli: Cli, served: dict[str, Any]) -> None:
    assert cli("serve", policies, "--insecure", "--log-format", "console") == 0
    assert "http://127.0.0.1:8080" in cli.err


def test_invalid_policies_are_not_served(cli: Cli, served: dict[str, Any], tmp_path: Path) -> None:
    assert cli("serve", tmp_path, "--insecure") == 1
    assert cli("serve", tmp_path / "none", "--insecure") == 2
    assert not served


def test_the_gate(policies: Path, cli: Cli, served: dict[str, Any]) -> None:
    policies.write_text(POLICIES.replace("expect allow by refund", "expect deny"), encoding="utf-8")
    assert cli("serve", policies, "--insecure", "--gate", "tests") == 1
    assert "POL405" in cli.err
    assert not served
    assert cli("serve", policies, "--insecure") == 0
    assert served


@pytest.mark.parametrize("words", [("--port", "65536"), ("--workers", "0"), ("--gate", "x"), ("--uds", "/none/x.sock")])
def test_wrong_usage_is_2(policies: Path, cli: Cli, served: dict[str, Any], words: tuple[str, ...]) -> None:
    assert cli("serve", policies, "--insecure", *words) == 2
    assert not served


def test_what_one_process_remembers_is_not_served_by_several(
    policies: Path, cli: Cli, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLICYENGINE_GUARDRAIL__ENABLED", "true")
    assert cli("serve", policies, "--insecure", "--workers", "2") == 2
    assert "guardrail" in cli.err
    assert not served
    assert cli("serve", policies, "--insecure") == 0


def test_a_socket_is_as_asked_for_and_gone_at_the_end(
    policies: Path, cli: Cli, served: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "socket"
    modes: list[int] = []
    monkeypatch.setattr("uvicorn.run", lambda _, fd, **__: modes.append(path.stat().st_mode & 0o777))
    for mode in ("600", "660"):
        assert cli("serve", policies, "--insecure", "--uds", path, "--uds-mode", mode) == 0
        assert not path.exists()
    assert modes == [0o600, 0o660]
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        assert cli("serve", policies, "--insecure", "--uds", path) == 2
        assert "already listens" in cli.err
        assert path.exists()
    # What nobody listens at any more makes way.
    assert cli("serve", policies, "--insecure", "--uds", path) == 0
    assert cli("serve", policies, "--insecure", "--uds", path, "--uds-mode", "9") == 2


def test_a_socket_is_gone_where_a_signal_ends_its_process(tmp_path: Path) -> None:
    script = (
        "import pathlib, signal, sys; from policyengine.cli.unix_socket import unix_socket\n"
        "with unix_socket(pathlib.Path(sys.argv[1]), 0o600): signal.raise_signal(signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "s.sock")], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == -signal.SIGTERM
    assert not (tmp_path / "s.sock").exists()


def test_a_closed_standard_error_is_no_reason_not_to_serve(
    policies: Path, cli: Cli, served: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # `2>&-`, as Python has it.
    monkeypatch.setattr("policyengine.cli.serve.sys", SimpleNamespace(stderr=None))
    assert cli("serve", policies, "--insecure") == 0
    assert served
