"""The list of blocks in every store, and what a node makes of one that is older, lost or out of reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from policyengine import Engine
from policyengine.state import block_operations
from policyengine.state.block_operations import LIFTED, Beat, Impose, ReadBlocks
from policyengine.state.known_blocks import KnownBlocks
from policyengine.state.operations import DocumentsFound, Operation, Outcome, Rejected
from policyengine.state.store import StoreError
from policyengine.state.stores.memory import Memory
from policyengine.state.stores.sqlite import Sqlite
from tests.blocks.test_blocks import ANN, MODEL, POLICIES
from tests.state.stores import STORES


def impose(name: str, blocked: bool = True, length: int = 0) -> Impose:
    return Impose(name, "model", "", name, blocked, length, "w", "ops")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.mark.parametrize("name", STORES)
def test_every_store_keeps_the_same_list(name: str) -> None:
    """Each step is done in the store and in the specification."""
    clock = Clock()
    document: Any = None
    steps: list[tuple[Any, int]] = [
        (Beat(), 1),
        (impose("a"), 1),
        (impose("b", length=50), 0),
        (impose("a", blocked=False), 10),
        (impose("c", length=10), 45),
        (Beat(5), 1),
        (Beat(clock.now * 2), 1),
        (Beat(void=True), 1),
        (impose("a"), 0),
        (impose("b", blocked=False), LIFTED + 5),
        (impose("é", length=1), 1),
        (impose("d"), 1),
    ]
    with STORES[name](clock) as store:
        assert store.run(ReadBlocks()) == DocumentsFound(clock.now, (None,))
        for operation, later in steps:
            clock.now += later
            does = block_operations.beaten if isinstance(operation, Beat) else block_operations.imposed
            document = does(operation, document, clock.now)
            assert store.run(operation) == DocumentsFound(clock.now, (document,))
            assert store.run(ReadBlocks()) == DocumentsFound(clock.now, (document,))
            unchanged = {**document, "entries": {}}
            assert store.run(ReadBlocks(document["version"])) == DocumentsFound(clock.now, (unchanged,))
        assert sorted(document["entries"]) == ["a", "b", "d"]


@pytest.mark.parametrize("name", STORES)
def test_a_list_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_operations, "MOST", 3)
    monkeypatch.setattr("policyengine.state.stores.wire.MOST", 3)
    with STORES[name](Clock()) as store:
        for each in "abc":
            assert isinstance(store.run(impose(each)), DocumentsFound)
        assert store.run(impose("d")) == Rejected("too many blocks")
        assert isinstance(store.run(impose("a", blocked=False)), DocumentsFound)


# ---- a node ----


class Scripted:
    """A store whose list is what a test says; None for one that is away."""

    def __init__(self) -> None:
        self.document: Any = None
        self.away = False

    def run(self, operation: Operation) -> Outcome:
        if self.away:
            raise StoreError("away")
        assert isinstance(operation, ReadBlocks)
        return DocumentsFound(1_000_000, (block_operations.read(operation, self.document),))

    async def run_async(self, operation: Operation) -> Outcome:
        return self.run(operation)

    def close(self) -> None:
        """Nothing to close."""


def listed(*operations: Impose, now: int = 10) -> Any:
    document: Any = None
    for operation in operations:
        document = block_operations.imposed(operation, document, now)
    return document


@pytest.fixture
def scripted() -> Any:
    store = Scripted()
    board = KnownBlocks(store, lambda: None, every=3600, bound=3600)
    yield store, board
    board.close()


def names(board: KnownBlocks) -> list[str]:
    return sorted(block.id for block in board.blocks.blocks())


def test_an_older_or_lost_list_takes_back_nothing(scripted: tuple[Scripted, KnownBlocks]) -> None:
    store, board = scripted
    older = listed(impose("a"))
    store.document = listed(impose("a"), impose("b"))
    board.read()
    assert names(board) == ["a", "b"]
    for document in (older, None, listed(impose("c"), now=5), {"version": 99, "entries": {}}):
        store.document = document
        board.read()
        assert {"a", "b"} <= set(names(board))


def test_a_block_is_lifted_after_the_list_was_lost(scripted: tuple[Scripted, KnownBlocks]) -> None:
    store, board = scripted
    store.document = listed(impose("a"), impose("b"))
    board.read()
    store.document = listed(impose("a", blocked=False), now=1_000)
    board.read()
    assert names(board) == ["b"]


def test_a_lift_from_before_the_block_lifts_nothing(scripted: tuple[Scripted, KnownBlocks]) -> None:
    store, board = scripted
    store.document = listed(impose("a"), now=1_000)
    board.read()
    store.document = listed(impose("a", blocked=False), now=5)
    board.read()
    assert names(board) == ["a"]


def test_a_node_that_cannot_read_the_list_denies_until_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Scripted()
    board = KnownBlocks(store, lambda: None, every=3600, bound=10)
    store.away = True
    with pytest.raises(StoreError):
        board.read()
    board.check_age()
    assert not board.blocks.unknown
    monkeypatch.setattr("policyengine.state.known_blocks.monotonic", lambda: monotonic() + 11)
    board.check_age()
    assert board.blocks.unknown
    store.away = False
    board.read()
    assert not board.blocks.unknown
    board.close()


def test_a_node_that_never_read_the_list_denies() -> None:
    store = Scripted()
    store.away = True
    engine = Engine.from_text(POLICIES, state=store)
    asked = {"principal": ANN, "action": "retrieve", "resource": {"type": "Document", "id": "d"}}
    assert engine.decide(**asked).errors[0].code == "POL571"  # type: ignore[arg-type]
    store.away = False
    eventually(lambda: engine.decide(**asked).allowed)  # type: ignore[arg-type]
    engine.close()


def eventually(holds: Callable[[], bool]) -> None:
    """It holds at some time: another thread is at work."""
    end = monotonic() + 30
    while not holds():
        assert monotonic() < end
        sleep(0.01)


def test_every_node_hears_of_a_block_and_a_new_one_knows_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/state.db"
    one, other = (Engine.from_text(POLICIES, state=url) for _ in range(2))
    asked: dict[str, Any] = {"principal": ANN, "action": "invoke", "resource": MODEL, "metered": True}
    assert other.decide(**asked).allowed
    one.blocks.block("tenant", "acme", why="w")
    assert not one.decide(**asked).allowed
    eventually(lambda: not other.decide(**asked).allowed)
    third = Engine.from_text(POLICIES, state=url)
    assert third.decide(**asked).reasons == ("the tenant is blocked: w",)
    other.blocks.unblock("tenant", "acme")
    eventually(lambda: all(each.decide(**asked).allowed for each in (one, other, third)))
    for each in (one, other, third):
        each.close()


def test_engines_that_share_a_store_of_this_process_hear_at_once() -> None:
    store = Memory()
    one, other = (Engine.from_text(POLICIES, state=store) for _ in range(2))
    one.blocks.block("tenant", "acme")
    assert not other.decide(principal=ANN, action="invoke", resource=MODEL, metered=True).allowed


def test_a_block_ends_by_itself(tmp_path: Path) -> None:
    engine = Engine.from_text(POLICIES, state=Sqlite(tmp_path / "state.db"))
    asked: dict[str, Any] = {"principal": ANN, "action": "invoke", "resource": MODEL, "metered": True}
    engine.blocks.block("principal", "ann", seconds=0.4)
    assert not engine.decide(**asked).allowed
    eventually(lambda: engine.decide(**asked).allowed)
    engine.close()


@pytest.mark.parametrize("name", ["sqlite", "redis", "postgresql"])
def test_a_store_is_closed_without_a_word_from_those_that_read_the_list(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[Any] = []
    monkeypatch.setattr("threading.excepthook", failed.append)
    with STORES[name](lambda: 1_000_000) as store:
        closed, left = (KnownBlocks(store, lambda: None, every=0.001, bound=5) for _ in range(2))
        sleep(0.02)
        closed.close()
        assert not any(thread.is_alive() for thread in closed._threads)
    sleep(0.02)
    left.close()
    assert failed == []
