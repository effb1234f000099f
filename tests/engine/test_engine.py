"""The in-process API: loading, deciding, reloading, watching."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine, InvalidPolicies, Reload
from policyengine.diagnostics.source import Source

GOOD = "module docs\nuse ai\npermit {name}: retrieve on Document\n  when document.owner == principal.id\n"
BROKEN = "module docs\nuse ai\npermit broken: retrieve on Documnt\n"
FAILING = (
    GOOD.format(name="own")
    + """
test "nobody reads what is not theirs" {
  principal User::"ann" {}
  retrieve on Document::"d1" { owner: "bob" }
  expect allow
}
"""
)
ANN = {"type": "User", "id": "ann"}


def ask(engine: Engine, owner: Any = "ann", **context: Any) -> Any:
    resource = {"type": "Document", "id": "d1", "owner": owner}
    return engine.decide(principal=ANN, action="retrieve", resource=resource, context=context)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs.pol").write_text(GOOD.format(name="own"))
    return tmp_path


def test_a_file_and_its_directory_are_the_same_policies(folder: Path) -> None:
    one, other = Engine.load(folder), Engine.load(folder / "docs.pol")
    assert ask(one) == ask(other)
    assert one.revision == other.revision != Engine.from_text(BROKEN.replace("Documnt", "Document")).revision


def test_entities_take_part_in_the_revision(folder: Path) -> None:
    plain = Engine.load(folder)
    known = Engine.load(folder, entities=[{"type": "User", "id": "ann"}])
    assert plain.revision != known.revision


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([{"type": "User"}], "textual `type` and `id`"),
        ([ANN, ANN], "given twice"),
        ([{**ANN, "parents": "Group"}], "list of entities"),
        ([{**ANN, "parents": [{"type": "Group"}]}], "textual `type` and `id`"),
        ([5], "textual `type` and `id`"),
    ],
)
def test_entities_that_cannot_be_used(folder: Path, entities: Any, message: str) -> None:
    with pytest.raises(InvalidPolicies, match=message):
        Engine.load(folder, entities=entities)


@pytest.mark.parametrize(("path", "entities"), [("", None), (".", "")])
def test_an_empty_path_is_not_the_current_directory(
    folder: Path, path: str, entities: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(InvalidPolicies, match="the path is empty"):
        Engine.load(path, entities=entities)


def test_errors_come_with_all_their_diagnostics() -> None:
    with pytest.raises(InvalidPolicies, match="POL202") as caught:
        Engine.from_text(BROKEN)
    assert [d.code.id for d in caught.value.diagnostics if d.is_error] == ["POL202"]


@pytest.mark.parametrize(
    "request_", [None, 5, "x", [], {}, {"principal": ANN}, {"principal": 1, "action": {}, "resource": []}]
)
def test_what_is_no_request_is_denied(folder: Path, request_: Any) -> None:
    (decision,) = Engine.load(folder).decide_many([request_])
    assert decision.decision == "deny"
    assert decision.errors


def test_many_requests_one_snapshot(folder: Path) -> None:
    engine = Engine.load(folder)

    def requests() -> Any:
        for number in range(6):
            if number == 3:
                (folder / "docs.pol").write_text(GOOD.format(name="renamed"))
                assert engine.reload().ok
            yield {"principal": ANN, "action": "retrieve", "resource": {"type": "Document", "id": "d", "owner": "ann"}}

    decisions = engine.decide_many(requests())
    assert {d.determining for d in decisions} == {("docs.own",)}
    assert len({d.revision for d in decisions}) == 1
    assert ask(engine).determining == ("docs.renamed",)


def test_a_bad_reload_changes_nothing(folder: Path) -> None:
    engine = Engine.load(folder)
    before = engine.revision
    for text in (BROKEN, "", "permit", "\x00", GOOD.format(name="own") + BROKEN):
        (folder / "docs.pol").write_text(text) if text else (folder / "docs.pol").unlink()
        result = engine.reload()
        assert not result.ok
        assert result.diagnostics
        assert engine.last_reload is result
        assert engine.revision == before
        assert ask(engine).allowed
    (folder / "docs.pol").write_bytes(b"\xff\xfe")
    assert [d.code.id for d in engine.reload().diagnostics] == ["POL108"]
    assert ask(engine).allowed


def test_a_reload_that_fails_its_tests_can_be_kept_out(folder: Path) -> None:
    engine = Engine.load(folder)
    before = engine.revision
    (folder / "docs.pol").write_text(FAILING)
    gated = engine.reload(gate_tests=True)
    assert not gated.ok
    assert "POL405" in [d.code.id for d in gated.diagnostics]
    assert engine.revision == before
    assert engine.reload().ok
    assert engine.revision != before


def test_policies_that_fail_their_tests_can_be_kept_out_from_the_start(folder: Path) -> None:
    (folder / "docs.pol").write_text(FAILING)
    assert not ask(Engine.load(folder), "bob").allowed
    with pytest.raises(InvalidPolicies) as caught:
        Engine.load(folder, gate_tests=True)
    assert "POL405" in [d.code.id for d in caught.value.diagnostics]
    (folder / "docs.pol").write_text(GOOD.format(name="own"))
    assert ask(Engine.load(folder, gate_tests=True)).allowed


@pytest.mark.parametrize("asked", [False, True])
def test_the_collector_of_the_host_is_left_alone_unless_asked(folder: Path, asked: bool) -> None:
    seen: list[str] = []
    gc.unfreeze()
    before = gc.get_threshold()
    gc.callbacks.append(lambda phase, _: seen.append(phase))
    gc.set_threshold(2, 1000)
    try:
        # New texts: what is known already makes no garbage.
        (folder / "docs.pol").write_text(GOOD.format(name=f"collected_{asked}"))
        engine = Engine.load(folder, cache=False, pause_gc=asked)
        during = len(seen)
        assert gc.isenabled()
    finally:
        gc.set_threshold(*before)
        gc.callbacks.pop()
    assert ask(engine).allowed
    # Some come from opening files before, and the store after; from loading itself come a thousand and more.
    assert during < 500 if asked else during > 1_000


def wait_for(condition: Any) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_nothing_is_kept_of_what_a_reload_replaced(folder: Path) -> None:
    engine = Engine.load(folder)
    for i in range(3):
        (folder / "docs.pol").write_text(GOOD.format(name=f"version_{i}"))
        assert engine.reload().ok
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, Source) and each.path.startswith(str(folder))]
    assert [source.text for source in kept] == [GOOD.format(name="version_2")]


def test_watching_picks_up_changes_until_it_is_stopped(folder: Path) -> None:
    engine = Engine.load(folder)
    heard: list[Reload] = []
    with engine.watch(on_reload=heard.append):
        (folder / "docs.pol").write_text(GOOD.format(name="second"))
        wait_for(lambda: ask(engine).determining == ("docs.second",))
        (folder / "docs.pol").write_text(BROKEN)
        wait_for(lambda: not engine.last_reload.ok)
        assert ask(engine).determining == ("docs.second",)
        (folder / "more").mkdir()
        (folder / "more" / "other.pol").write_text("module other\nuse ai\n")
        (folder / "docs.pol").write_text(GOOD.format(name="third"))
        wait_for(lambda: ask(engine).determining == ("docs.third",))
    assert [r.ok for r in heard if r.ok] != []
    (folder / "docs.pol").write_text(GOOD.format(name="fourth"))
    time.sleep(0.5)
    assert ask(engine).determining == ("docs.third",)


def test_watching_hears_of_entities(folder: Path, tmp_path: Path) -> None:
    entities = tmp_path / "entities.json"
    entities.write_text("[]")
    engine = Engine.load(folder, entities=entities)
    document = '{"type": "Document", "id": "d1", "owner": "bob"}'
    with engine.watch():
        entities.write_text(f"[{document}]")
        wait_for(lambda: not ask(engine).allowed)
    assert ask(engine, owner="ann").decision == "deny"


def test_watching_outlives_a_directory_that_goes_and_comes_back(folder: Path) -> None:
    policies = folder / "docs.pol"
    inner = folder / "inner"
    inner.mkdir()
    policies.rename(inner / "docs.pol")
    engine = Engine.load(inner)
    with engine.watch():
        inner.rename(folder / "gone")
        wait_for(lambda: not engine.last_reload.ok)
        assert ask(engine).allowed
        inner.mkdir()
        (inner / "docs.pol").write_text(GOOD.format(name="back"))
        wait_for(lambda: ask(engine).determining == ("docs.back",))


def test_text_cannot_be_watched() -> None:
    with pytest.raises(ValueError, match="no files"):
        Engine.from_text(GOOD.format(name="own")).watch()


def test_threads_see_whole_snapshots(folder: Path) -> None:
    """Under reloads from one thread, every answer in the others is that of one revision."""
    engine = Engine.load(folder)
    wrong: list[Any] = []
    answers = {engine.revision: "docs.own"}
    done = threading.Event()

    def asking() -> None:
        while not done.is_set():
            decision = ask(engine)
            if answers.get(decision.revision, decision.determining[0]) != decision.determining[0]:
                wrong.append(decision)

    threads = [threading.Thread(target=asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        (folder / "docs.pol").write_text(GOOD.format(name=f"r{number}"))
        answers[engine.reload().revision] = f"docs.r{number}"
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong
