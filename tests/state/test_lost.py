"""A store that was emptied or restored: what began before is void."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policyengine import Engine
from policyengine.state.block_operations import KEY
from policyengine.state.known_blocks import KnownBlocks
from policyengine.state.operations import Commit, Label, OpenSession, ReadSession, Rejected, SessionWrite
from policyengine.state.sessions import ENDED, LIFE
from policyengine.state.shard_places import place
from policyengine.state.stores.cluster import Cluster
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.sqlite import Sqlite
from tests.events.test_events import Heard
from tests.state.servers import cluster_nodes, cluster_url, redis_url
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
    asked: dict[str, Any] = {"principal": ANN, **more}
    return engine.authorize(action="call", resource={"type": "Tool", "id": name, "args": {}}, **asked)


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


@pytest.mark.parametrize("name", STORES)
def test_nobody_goes_on_in_a_session_that_is_over(name: str) -> None:
    now = [1_000]
    with STORES[name](lambda: now[0]) as store:

        def asked(principal: str = "ann", opens: bool = True) -> list[bool]:
            read = ReadSession("session::s", "", principal, LIFE, opens=opens)
            write = SessionWrite("session::s", "", principal, LIFE, ("l",), opens=opens)
            opened = OpenSession("session::s", "", principal, LIFE)
            commit = Commit(place("") + f"{now[0]}{principal}{opens}", "ann", (), 1, 1, write)
            return [not isinstance(store.run(one), Rejected) for one in (opened, commit, read)]

        # Whoever names it first has it.
        assert asked(opens=False) == [True, True, True]
        assert asked("bob") == [False, False, False]
        now[0] += LIFE - 1
        assert asked() == [False, True, True]
        now[0] += LIFE
        assert asked() == asked("bob") == [False, False, False]
        now[0] += ENDED
        assert asked("bob") == [True, True, True]


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
            board: KnownBlocks = one._board  # type: ignore[assignment]
            board.read()
        # It would not know what it has seen.
        assert not call(engine, "send", session="s").allowed
        assert not call(other, "send", session="s").allowed
        # A node that did not know it cannot tell it from a new one.
        assert not call(other, "send", session="new").allowed
        engine.sessions.open(ANN, id="new")
        assert call(other, "send", session="new").allowed
        again = call(engine, "pay", approval=asked.approval)
        assert again.approval_denied == ("approval_unverifiable" if name == "redis" else "approval_expired")
        assert [event.kind for event in heard.events if event.kind == "state.voided"] == ["state.voided"]
    finally:
        engine.close()
        other.close()


def test_a_node_that_begins_in_an_emptied_store_hides_nothing() -> None:
    def node() -> Engine:
        return Engine.from_text(POLICIES, state=Redis(redis_url(), prefix="begins:"))

    redis_url(fresh=True)
    one = node()
    one._board.close()  # type: ignore[union-attr]
    assert call(one, "browse", session="s").allowed
    redis_url(fresh=True)
    # It has the time written before the other one looks.
    other = node()
    other._board.close()  # type: ignore[union-attr]
    one._board.read()  # type: ignore[union-attr]
    assert not call(one, "send", session="s").allowed
    other._board.read()  # type: ignore[union-attr]
    assert not call(other, "send", session="s").allowed
    assert call(other, "send", session=other.sessions.open(ANN)).allowed


@pytest.mark.parametrize("begins", [False, True], ids=["", "and another node begins"])
def test_one_lost_shard_is_noticed(begins: bool) -> None:
    heard = Heard()

    def node() -> tuple[Engine, KnownBlocks]:
        engine = Engine.from_text(POLICIES, state=Cluster(cluster_url(), prefix="shard:"), events=heard)
        board: KnownBlocks = engine._board  # type: ignore[assignment]
        # Each step is taken here.
        board.close()
        return engine, board

    cluster_url(fresh=True)
    (one, board), (other, behind) = node(), node()
    store: Any = one.store
    owner = store._client.get_node_from_key
    lists, tenant = owner(store._prefix_at(place(KEY))), ""
    while owner(store._prefix_at(place(tenant))) == lists:
        tenant += "t"
    ann = {**ANN, "tenant": tenant}
    assert len(store.places()) == 3
    one.blocks.block("tool", "pay")
    for each in (board, behind):
        each.check_shards()
        each.read()
    assert call(one, "browse", session="s", principal=ann).allowed
    assert call(other, "browse", session="s", principal=ann).allowed
    port = owner(store._prefix_at(place(tenant))).port
    [lost] = [each for each in cluster_nodes() if each.config_get("port")["port"] == str(port)]
    lost.flushall()
    if begins:
        node()[1].check_shards()
    for each in (board, behind):
        each.check_shards()
    # It would not know what it has seen.
    assert not call(one, "send", session="s", principal=ann).allowed
    assert not call(other, "browse", session="s", principal=ann).allowed
    other.sessions.open(ann, id="new")
    assert call(other, "send", session="new", principal=ann).allowed
    assert call(other, "pay").decision.reasons == ("the tool is blocked",)
    assert [event.kind for event in heard.events if event.kind == "state.voided"] == ["state.voided"]
    for each in (board, behind):
        each.check_shards()
    assert call(one, "send", session="new", principal=ann).allowed


def test_an_operator_voids_what_is_from_before() -> None:
    heard = Heard()
    engine = Engine.from_text(POLICIES, events=heard)
    assert call(engine, "browse", session="s").allowed
    engine.blocks.void(why="restored from a backup", by="ops")
    assert not call(engine, "browse", session="s").allowed
    assert call(engine, "browse", session=engine.sessions.open(ANN)).allowed
    assert heard.events[-1].fields["why"] == "restored from a backup"
