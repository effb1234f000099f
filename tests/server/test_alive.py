"""Reloading is alive or says so, and what cannot be logged fails nothing."""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from policyengine import Engine, watch
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


def test_what_cannot_be_watched_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    heard: list[Unwatched | None] = []
    told = threading.Event()

    def some(*roots: Path, **_: object) -> Iterator[object]:
        if bad in roots:
            raise OSError(13, "permission denied")
        return iter([set()])

    def tell(now: Unwatched | None) -> None:
        heard.append(now)
        told.set()

    for each in (good, bad):
        each.mkdir()
    monkeypatch.setattr("watchfiles.watch", some)
    with Watcher([good, bad], lambda: False, lambda: None, tell).start():
        assert told.wait(20)
    assert heard[0] is not None
    assert heard[0].sources == (str(bad),)


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


def test_the_service_says_that_it_is_not_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.pol").write_text(POLICIES)
    monkeypatch.setattr("watchfiles.watch", _unwatchable)
    with serving(tmp_path, reload=True, log_level="warning") as client:
        while "not_watched" not in (ready := client.get("/readyz").json()):
            pass
        assert ready["status"] == "ready"
        assert ready["not_watched"].keys() == {"since", "why", "sources"}
        counts = client.get("/metrics").text
        assert "policyengine_sources_watched 0.0" in counts
        since = datetime.fromisoformat(ready["not_watched"]["since"]).timestamp()
        assert 0 <= _since(counts, "not_watched") - since < 1
    [line] = [each for each in capsys.readouterr().err.splitlines() if "not_watched" in each]
    for said in (ready["not_watched"]["since"], str(tmp_path), "inotify watch limit reached"):
        assert said in line


def test_the_service_says_since_when_policies_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.pol"
    file.write_text(POLICIES)
    with serving(tmp_path) as client:
        assert "since" not in client.get("/readyz").json()
        assert "policyengine_policies_current 1.0" in client.get("/metrics").text
        for broken in ("permit (", "permit (("):
            file.write_text(broken)
            answer = client.post("/v1/admin/reload").json()
        ready = client.get("/readyz").json()
        assert ready["status"] == answer["status"] == "degraded"
        assert ready["since"] == answer["since"]
        counts = client.get("/metrics").text
        assert "policyengine_policies_current 0.0" in counts
        assert 0 <= _since(counts, "refused") - datetime.fromisoformat(ready["since"]).timestamp() < 1
        file.write_text(POLICIES)
        assert "since" not in client.post("/v1/admin/reload").json()
        counts = client.get("/metrics").text
        assert "policyengine_policies_current 1.0" in counts
        assert "policyengine_degraded_since_seconds{" not in counts
    said = [each for each in capsys.readouterr().err.splitlines() if "policies not loaded" in each]
    assert len(said) == 2
    assert all(ready["since"] in each for each in said)


def _since(counts: str, what: str) -> float:
    [value] = [
        line.split()[1]
        for line in counts.splitlines()
        if line.startswith(f'policyengine_degraded_since_seconds{{what="{what}"}}')
    ]
    return float(value)


def test_what_is_refused_again_is_refused_since_the_first_time(tmp_path: Path) -> None:
    file = tmp_path / "m.pol"
    file.write_text(POLICIES)
    engine = Engine.load(file, cache=False)
    assert engine.last_reload.since is None
    file.write_text("permit (")
    first = engine.reload().since
    assert first is not None
    file.write_text("permit ((")
    assert engine.reload().since is first
    file.write_text(POLICIES)
    assert engine.reload().since is None


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
