"""Workers swap policies on one signal, and none is left behind. The talk is real; the processes are engines of
this one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from policyengine import Engine
from policyengine.workers import hub as hub_module
from policyengine.workers.hub import Hub
from policyengine.workers.sibling import Report, Sibling
from policyengine.workers.totals import lasting, summed

GOOD = 'module m\nuse ai\npermit p: retrieve on Document when document.id != "{}"\n'
BROKEN = "module m\nuse ai\npermit p: retrieve on Document when\n"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    directory = tmp_path / "run"
    directory.mkdir()
    made = Hub(directory, lambda: 2).start()
    yield made
    made.stop()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    found = tmp_path / "policies" / "m.pol"
    found.parent.mkdir()
    found.write_text(GOOD.format(0))
    return found


class Worker:
    """An engine and its member, as a process of the service has them."""

    def __init__(self, hub: Hub, file: Path) -> None:
        self.member = Sibling(hub.path, gone=lambda: None)
        while True:
            self.engine = Engine.load(file.parent, cache=False, begin=self.member.beginning())
            if self.member.started(self.engine.revision, self.engine.began):
                break
        self.engine.turns = self.member
        self.member.run(self.report, lambda wanted: self.reload(wanted), self.engine.catch_up)

    def report(self) -> Report:
        status = {"status": "ready" if self.engine.last_reload.ok else "degraded", "revision": self.engine.revision}
        return Report(status, [["n", "counter", "", [["n_total", {}, 1.0]]]])

    def reload(self, wanted: str | None = None) -> None:
        self.engine.reload(unless=wanted)


def _until(holds: Callable[[], bool]) -> None:
    done = threading.Event()
    for _ in range(4_000):
        if holds():
            return
        done.wait(0.005)
    raise AssertionError("it never came to that")


def test_one_that_has_it_ready_waits_for_the_others(hub: Hub, file: Path) -> None:
    first, second = Worker(hub, file), Worker(hub, file)
    before = first.engine.revision
    told = threading.Event()
    go = threading.Event()

    def later(wanted: str) -> None:
        told.set()
        go.wait()
        second.reload(wanted)

    second.member.run(second.report, later, second.engine.catch_up)
    file.write_text(GOOD.format(1))
    reloading = threading.Thread(target=first.reload)
    reloading.start()
    assert told.wait(20)
    # It is ready there, and answers nowhere.
    assert {first.engine.revision, second.engine.revision} == {before}
    go.set()
    reloading.join()
    assert first.engine.revision != before
    _until(lambda: second.engine.revision == first.engine.revision)
    assert hub.current == first.engine.revision


def test_a_replacement_begins_with_what_answers_while_the_file_is_broken(hub: Hub, file: Path) -> None:
    first = Worker(hub, file)
    file.write_text(BROKEN)
    first.reload()
    assert not first.engine.last_reload.ok
    second = Worker(hub, file)
    assert second.engine.revision == first.engine.revision
    second.reload()
    assert not second.engine.last_reload.ok
    file.write_text(GOOD.format(2))
    first.reload()
    _until(lambda: second.engine.revision == first.engine.revision and second.engine.last_reload.ok)


def test_a_replacement_does_not_run_ahead(hub: Hub, file: Path) -> None:
    first = Worker(hub, file)
    file.write_text(GOOD.format(3))
    assert Worker(hub, file).engine.revision == first.engine.revision


def test_the_dead_hold_nobody_up_and_what_they_counted_stays(hub: Hub, file: Path) -> None:
    first, second = Worker(hub, file), Worker(hub, file)
    everybody = first.member.everybody()
    assert everybody is not None
    assert [each["status"] for each in everybody.workers] == ["ready", "ready"]
    assert everybody.counts == [["n", "counter", "", [["n_total", {}, 2.0]]]]
    assert everybody.since is None
    second.member.close()
    file.write_text(GOOD.format(4))
    first.reload()
    assert first.engine.revision == hub.current
    everybody = first.member.everybody()
    assert everybody is not None
    assert (len(everybody.workers), everybody.wanted) == (1, 2)
    assert everybody.since is not None
    again = first.member.everybody()
    assert again is not None
    assert again.since == everybody.since
    assert everybody.counts == [["n", "counter", "", [["n_total", {}, 2.0]]]]


def test_one_that_cannot_follow_is_waited_for_so_long_and_catches_up(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(hub_module, "PATIENCE", 0.01)
    monkeypatch.setattr(hub_module, "REMIND", 0.01)
    (tmp_path / "run").mkdir()
    hub = Hub(tmp_path / "run").start()
    first, second = Worker(hub, file), Worker(hub, file)
    second.member.run(second.report, lambda _: None, second.engine.catch_up)
    file.write_text(GOOD.format(5))
    first.reload()
    assert first.engine.revision == hub.current
    _until(lambda: second.engine.revision == hub.current)
    hub.stop()


def test_without_its_supervisor_a_worker_is_told(hub: Hub, file: Path) -> None:
    gone = threading.Event()
    member = Sibling(hub.path, gone=gone.set)
    assert member.beginning() is None
    hub.stop()
    assert gone.wait(20)
    assert member.everybody() is None
    assert Engine.load(file, cache=False).revision


def test_counts_are_added_up() -> None:
    def one(value: float, watched: float) -> list[list[object]]:
        return [
            ["c", "counter", "text", [["c_total", {"k": "a"}, value]]],
            ["policyengine_sources_watched", "gauge", "", [["policyengine_sources_watched", {}, watched]]],
        ]

    both = summed([one(1, 1), one(2, 0), [["c", "counter", "text", [["c_total", {"k": "b"}, 5.0]]]]])
    assert both[0] == ["c", "counter", "text", [["c_total", {"k": "a"}, 3], ["c_total", {"k": "b"}, 5.0]]]
    assert both[1][3] == [["policyengine_sources_watched", {}, 0]]
    assert [each[0] for each in lasting(both)] == ["c"]
