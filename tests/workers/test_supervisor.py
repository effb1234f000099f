"""Worker processes as `serve` starts them: one that dies is replaced, whatever lies on disk."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from uvicorn import Config

from policyengine.workers.hub import Hub
from policyengine.workers.supervisor import Supervisor

GOOD = "module m\nuse ai\npermit p: retrieve on Document\n"
ASKED = {
    "subject": {"type": "User", "id": "u"},
    "action": {"name": "retrieve"},
    "resource": {"type": "Document", "id": "d"},
}


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(1_200):
        try:
            if holds():
                return
        except httpx.TransportError:
            # One that died does not answer what it had accepted.
            pass
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_a_dead_worker_and_a_broken_file_end_nothing(tmp_path: Path) -> None:
    file = tmp_path / "policies" / "m.pol"
    file.parent.mkdir()
    file.write_text(GOOD)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ("serve", str(file.parent), "--insecure", "--workers", "2", "--port", str(port), "--log-format", "json")
    environment = {**os.environ, "POLICYENGINE_STATE": f"sqlite:///{tmp_path}/state.db"}
    with open(tmp_path / "log", "wb") as log:
        service = subprocess.Popen([sys.executable, "-m", "policyengine.cli", *words], stderr=log, env=environment)
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20, headers={"connection": "close"}
        ) as client:

            def ready() -> dict[str, Any]:
                found: dict[str, Any] = client.get("/readyz").json()
                return found

            _until(lambda: ready()["status"] == "ready")
            first = ready()
            assert len(first["workers"]) == 2
            file.write_text(GOOD + "permit")
            _until(lambda: [each["status"] for each in ready()["workers"]] == ["degraded", "degraded"])
            os.kill(ready()["workers"][0]["pid"], signal.SIGKILL)
            _until(lambda: ready().get("workers_missing") == 1)
            assert client.post("/access/v1/evaluation", json=ASKED).json()["decision"] is True
            _until(lambda: len(ready()["workers"]) == 2)
            again = ready()
            assert {each["revision"] for each in again["workers"]} == {first["revision"]}
            assert again["status"] == "degraded"
            file.write_text(GOOD)
            _until(lambda: ready()["status"] == "ready")
            for _ in range(9):
                client.post("/access/v1/evaluation", json=ASKED)
            counted = client.get("/metrics").text
            assert 'policyengine_decisions_total{decision="allow"} 10.0' in counted
            assert 'policyengine_workers{state="answering"} 2.0' in counted
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    finally:
        service.kill()
        service.wait()


class _Ended:
    """A process that ended with a status."""

    def __init__(self, status: int) -> None:
        self.exitcode, self.pid = status, 1

    def kill(self) -> None: ...

    def join(self) -> None: ...


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Supervisor:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    made = Supervisor(Config("none:none", workers=1), [], Hub(tmp_path), lambda *_: None)
    monkeypatch.setattr(made, "_replace", lambda at: replaced.append(at))
    replaced: list[int] = []
    made.replaced = replaced  # type: ignore[attr-defined]
    return made


def test_where_none_ever_starts_the_status_says_so(supervisor: Supervisor) -> None:
    supervisor._ended(0, _Ended(3))  # type: ignore[arg-type]
    assert supervisor.should_exit.is_set()
    assert supervisor.status != 0


def test_a_replacement_that_cannot_start_is_tried_again_later(supervisor: Supervisor) -> None:
    supervisor.hub.current = "r"
    supervisor._ended(0, _Ended(3))  # type: ignore[arg-type]
    assert not supervisor.should_exit.is_set()
    assert supervisor.replaced == []  # type: ignore[attr-defined]
    supervisor._again[0] = 0
    supervisor.processes = [_Ended(3)]  # type: ignore[list-item]
    supervisor.keep_subprocess_alive()
    assert supervisor.replaced == [0]  # type: ignore[attr-defined]
