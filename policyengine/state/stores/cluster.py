"""State in Redis Cluster: the keys of a tenant are on one shard, and a script there is the commit point.

Limits that do not count by tenant are kept wherever their keys are. Room for them is held there first, on all shards at
the same time; then the commit is made on the tenant's shard, and the held amounts are charged with it. Holds are given
back if the commit is refused, and expire after `HOLD` if their owner is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from policyengine.state.operations import Document, Operation, Outcome
from policyengine.state.store import StoreError
from policyengine.state.stores.connections import ClientConnections, ClientConnectionsAsync
from policyengine.state.stores.form import escaped
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.shards import home, steps
from policyengine.steps import run, run_async

# How many places are tried to find one on each shard: many more than there are shards.
MOST_PLACES = 1_024

Answer = Outcome | StoreError


class Cluster(Redis):
    """A store behind `redis+cluster://host:port`, any node of the cluster. Raises StoreError as `Redis` does."""

    _threads: ThreadPoolExecutor | None = None

    def run(self, operation: Operation) -> Outcome:
        parts = steps(operation)
        if parts is None:
            return self._run(operation, self._prefix_at(home(operation)))
        return run(parts, self._all)

    async def run_async(self, operation: Operation) -> Outcome:
        parts = steps(operation)
        if parts is None:
            return await self._run_async(operation, self._prefix_at(home(operation)))
        return await run_async(parts, self._all_async)

    def places(self) -> tuple[str, ...]:
        left = {node.name for node in self._client.get_primaries()}
        slots, shard_places = self._client.nodes_manager.slots_cache, []
        for number in range(MOST_PLACES):
            where = f"{number:04x}"
            [owner, *_] = slots.get(self._client.keyslot(self._prefix_at(where)), (None,))
            if owner is not None and owner.name in left:
                left.remove(owner.name)
                shard_places.append(where)
            if not left:
                break
        return tuple(shard_places)

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        # The part in braces is the place, of four digits.
        pattern = f"{escaped(self._prefix)}{{????}}{kind}:*"
        return self._survey(pattern, len(self._prefix_at("0000")), self._client.mget_nonatomic)

    def close(self) -> None:
        super().close()
        if self._threads is not None:
            self._threads.shutdown()

    def _all(self, asked: Sequence[Operation]) -> list[Answer]:
        """The answers to these operations, which are sent at the same time."""
        if len(asked) == 1:
            return [self._tried(asked[0])]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(16, "policyengine-cluster")
        return list(self._threads.map(self._tried, asked))

    async def _all_async(self, asked: Sequence[Operation]) -> list[Answer]:
        return await asyncio.gather(*map(self._tried_async, asked))

    def _tried(self, operation: Operation) -> Answer:
        try:
            return self._run(operation, self._prefix_at(home(operation)))
        except StoreError as error:
            return error

    async def _tried_async(self, operation: Operation) -> Answer:
        try:
            return await self._run_async(operation, self._prefix_at(home(operation)))
        except StoreError as error:
            return error

    def _client_of(self, key: str) -> Any:
        node = self._client.get_node_from_key(key)
        return self._client.get_redis_connection(node)

    def _prefix_at(self, place: str) -> str:
        # Redis chooses the shard by the part in braces alone.
        return f"{self._prefix}{{{place}}}"

    def _more_failures(self, library: Any) -> tuple[type[BaseException], ...]:
        return (library.exceptions.RedisClusterException,)

    def _connect(self, library: Any, retry: Any) -> Any:
        url = self._url.replace("+cluster", "", 1)
        return library.RedisCluster.from_url(url, **self._settings(retry))

    def _connections_of(self, client: Any) -> ClientConnections:
        return ClientConnections(client)

    def _connections_of_async(self, client: Any) -> ClientConnectionsAsync:
        return ClientConnectionsAsync(client)

    def _policies(self) -> list[str]:
        memory = self._client.info("memory", target_nodes="primaries")
        nodes = memory.values() if "maxmemory_policy" not in memory else [memory]
        return [node.get("maxmemory_policy", "noeviction") for node in nodes]
