"""A store that was emptied or restored: what began before is void."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine
from policyengine.state.board import Board
from policyengine.state.operations import Commit, Label, OpenSession, ReadSession, Rejected, SessionWrite
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.sqlite import Sqlite
from tests.events.test_events import Heard
from tests.state.servers import redis_url
from tests.state.stores import STORES

POLICIES = """
module m
use ai
permit tools: call on Tool
label saw_web: call on Tool::"browse"
forbid out: call on Tool::"send"
  when "saw_web" in session.labels
require somebody: call on Tool::"pay"
  approval(by: Group::"lead", within: 1h, uses: 5)
"""
ANN = {"type": "User", "id": "ann"}
BOB = {"type": "User", "id": "bob", "parents": [{"type": "Group", "id": "lead"}]}


def call(engine: Engine, name: str, **more: Any) -> Any:
    return engine.authorize(principal=ANN, action="call", resource={"type": "Tool", "id": name, "args": {}}, **more)


@pytest.mark.parametrize("name", STORES)
def test_a_session_from_before_is_void_in_every_store(name: str) -> None:
    with STORES[name](lambda: 1_000) as store:
        store.run(OpenSession("session::s", "", "ann", 10**9))
        for since, void in ((1_000, False), (1_001, True)):
            write = SessionWrite("session::s", "", "ann", 10**9, ("l",), since=since)
            asked = (
                ReadSession("session::s", "", "ann", 10**9, opens=True, since=since),
                Label("session::s", "", "ann", add=("l",), since=since),
                Commit(f"c{since}", "ann", (), 1, 1, write),
            )
            assert [isinstance(store.run(one), Rejected) for one in asked] == [void] * 3


@pytest.mark.parametrize("name", ["redis", "sqlite"])
def test_what_a_restored_store_knows_is_void_on_every_node(name: str, tmp_path: Path) -> None:
    heard = Heard()
    file = tmp_path / "state.db"
    store: Any = Redis(redis_url(fresh=True), prefix="lost:") if name == "redis" else Sqlite(file)
    engine = Engine.from_text(POLICIES, state=store, events=heard)
    other = Engine.from_text(POLICIES, state=store, events=heard)
    try:
        assert call(engine, "browse", session="s").allowed
        assert call(other, "browse", session="s").allowed
        asked = engine.approvals.request(call(engine, "pay").access_request)
        asked = engine.approvals.approve(asked.id, BOB)
        assert call(engine, "pay", approval=asked.approval).allowed
        if name == "redis":
            redis_url(fresh=True)
        else:
            # Of a time before anybody wrote what time it is.
            with store._connection() as connection:
                connection.execute("update state set document = json_set(document, '$.beat', 1) where key = 'blocks'")
        for one in (engine, other):
            one.blocks.list()
            board: Board = one._board  # type: ignore[assignment]
            board.read()
        # It would not know what it has seen.
        assert not call(engine, "send", session="s").allowed
        assert not call(other, "send", session="s").allowed
        assert call(engine, "send", session="new").allowed
        again = call(engine, "pay", approval=asked.approval)
        assert again.approval_denied == ("approval_unverifiable" if name == "redis" else "approval_expired")
        assert [event.kind for event in heard.events if event.kind == "state.voided"] == ["state.voided"]
    finally:
        engine.close()
        other.close()


def test_an_operator_voids_what_is_from_before() -> None:
    heard = Heard()
    engine = Engine.from_text(POLICIES, events=heard)
    assert call(engine, "browse", session="s").allowed
    engine.blocks.void(why="restored from a backup", by="ops")
    assert not call(engine, "browse", session="s").allowed
    assert call(engine, "browse", session="t").allowed
    assert heard.events[-1].fields["why"] == "restored from a backup"
