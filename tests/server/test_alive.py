"""Reloading is alive or says so, and what cannot be logged fails nothing."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyengine import watch
from policyengine.server import log
from policyengine.watch import Unwatched, Watcher
from tests.server.serving import EVALUATION, serving

POLICIES = "module m\nuse ai\npermit p: retrieve on Document\n"
ASKED = {
    "subject": {"type": "User", "id": "u"},
    "action": {"name": "retrieve"},
    "resource": {"type": "Document", "id": "d"},
}


def _unwatchable(*_: object, **__: object) -> Iterator[object]:
    raise OSError(28, "inotify watch limit reached")


def test_where_nobody_tells_of_changes_they_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard: list[Unwatched | None] = []
    looked, again = threading.Event(), threading.Event()
    monkeypatch.setattr(watch, "LOOK_MS", 5)
    monkeypatch.setattr("watchfiles.watch", _unwatchable)

    def told(now: Unwatched | None) -> None:
        heard.append(now)
        if now is None:
            again.set()

    with Watcher([tmp_path], lambda: True, looked.set, told).start() as watcher:
        assert looked.wait(20)
        assert watcher.unwatched is not None
        assert "inotify watch limit reached" in watcher.unwatched.why
        assert watcher.unwatched.sources == (str(tmp_path),)
        monkeypatch.setattr("watchfiles.watch", lambda *_, **__: iter([set()]))
        assert again.wait(20)
    assert [each is None for each in heard[:2]] == [False, True]


def test_a_reload_that_fails_does_not_end_watching(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    twice = threading.Event()
    calls: list[int] = []

    def changed() -> None:
        calls.append(1)
        if len(calls) == 2:
            twice.set()
        raise RuntimeError

    monkeypatch.setattr("watchfiles.watch", lambda *_, **__: iter([set(), set()]))
    with Watcher([tmp_path], lambda: True, changed).start():
        assert twice.wait(20)


def test_the_service_says_that_it_is_not_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(POLICIES)
    monkeypatch.setattr("watchfiles.watch", _unwatchable)
    with serving(tmp_path, reload=True) as client:
        while "not_watched" not in (ready := client.get("/readyz").json()):
            pass
        assert ready["status"] == "ready"
        assert ready["not_watched"].keys() == {"since", "why", "sources"}
        assert "policyengine_sources_watched 0.0" in client.get("/metrics").text


def test_a_log_that_cannot_be_written_fails_no_request(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(POLICIES)
    before = log.output.dropped
    with serving(tmp_path, decision_log="info", log_level="info") as client:
        closed = io.StringIO()
        closed.close()
        with monkeypatch.context() as gone:
            gone.setattr(sys, "stderr", closed)
            assert client.post(EVALUATION, json=ASKED).json()["decision"] is True
            gone.setattr(sys, "stderr", None)
            assert client.post(EVALUATION, json=ASKED).json()["decision"] is True
        dropped = log.output.dropped
        assert dropped > before
        assert f"policyengine_log_lines_dropped_total {float(dropped)}" in client.get("/metrics").text
