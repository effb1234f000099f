"""State in Redis (6.2 or newer, or Valkey): shared by the processes of many machines.

One static script carries out each operation: `approvals.lua` and `transaction.lua` next to this file. Needs `pip
install policyengine-ai[redis]`. A command that is not answered in time is not sent again: whether it was carried out is
unknown, and a second time would charge twice.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop, to_thread
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha1
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from policyengine.state.operations import Commit, Document, Operation, Outcome, lasting
from policyengine.state.store import StoreError
from policyengine.state.stores import compact, wire
from policyengine.state.stores.compact import Compact
from policyengine.state.stores.connections import (
    ClientConnections,
    ClientConnectionsAsync,
    Connections,
    ConnectionsAsync,
)
from policyengine.state.stores.form import batched, escaped, opened
from policyengine.state.stores.replicas import Replicas

SCRIPT = b"".join(
    Path(__file__).with_name(name).read_bytes() for name in ("form.lua", "approvals.lua", "transaction.lua")
)
DIGEST = sha1(SCRIPT).hexdigest()

# For commits that only charge meters, as nearly all do.
PLAIN = Path(__file__).with_name("commit.lua").read_bytes()
PLAIN_DIGEST = sha1(PLAIN).hexdigest()

# Every key begins with this, so that state can share a database with other data.
PREFIX = "policyengine:"

# How many documents a full scan reads at a time.
BATCH = 500

# How long one command may take, in seconds.
DEADLINE = 1.0


class Redis:
    """A store behind a URL of redis-py. `now` is a clock for tests, in microseconds; the default is the server's own
    clock. Raises StoreError if the server is unavailable, or would evict the keys that it has to keep."""

    def __init__(
        self, url: str, now: Callable[[], int] | None = None, deadline: float = DEADLINE, prefix: str = PREFIX
    ) -> None:
        try:
            import redis
            import redis.asyncio
            import redis.asyncio.retry
            import redis.backoff
            import redis.retry
        except ImportError:
            raise StoreError("a state store in Redis needs redis-py: `pip install policyengine-ai[redis]`") from None
        self._library: Any = redis
        self._failures: tuple[type[BaseException], ...] = (redis.RedisError, OSError, *self._more_failures(redis))
        self._unknown_script = redis.exceptions.NoScriptError
        self._url = url
        self._now = now
        self._deadline = deadline
        self._prefix = prefix
        self._compact = Compact()
        self._replicas = Replicas(deadline)
        self._clients: WeakKeyDictionary[AbstractEventLoop, Any] = WeakKeyDictionary()
        try:
            self._client: Any = self._connect(redis, redis.retry.Retry)
            self._connections = self._connections_of(self._client)
            policies = self._policies()
        except self._failures as error:
            raise StoreError(f"the state store is unavailable: {error}") from error
        for policy in policies:
            if policy != "noeviction":
                raise StoreError(f"the state store may forget what it is to remember: its maxmemory-policy is {policy}")

    def _more_failures(self, library: Any) -> tuple[type[BaseException], ...]:
        return ()

    def _connect(self, library: Any, retry: Any) -> Any:
        """A client; `library` is the sync or the async one."""
        return library.Redis.from_url(_in_resp2(self._url), **self._settings(retry), protocol=2)

    def _policies(self) -> list[str]:
        """The eviction policy of each server."""
        return [self._client.info("memory").get("maxmemory_policy", "noeviction")]

    def run(self, operation: Operation) -> Outcome:
        return self._run(operation, self._prefix)

    async def run_async(self, operation: Operation) -> Outcome:
        return await self._run_async(operation, self._prefix)

    def _run(self, operation: Operation, prefix: str) -> Outcome:
        try:
            if type(operation) is Commit and (answer := self._charged(operation, prefix)) is not None:
                done = compact.outcome(answer, operation)
                if done is not None:
                    return done
            arguments = self._asked(operation, prefix)
            if lasting(operation) and self._replicas.any(client := self._client_of(arguments[1])):
                answer = self._replicas.confirmed(client, self._unknown_script, DIGEST, SCRIPT, arguments)
            else:
                answer = self._call(DIGEST, SCRIPT, arguments)
            return wire.outcome(answer, len(prefix))
        except self._failures as error:
            raise StoreError(f"the state store is unavailable: {error}") from error

    async def _run_async(self, operation: Operation, prefix: str) -> Outcome:
        client = self._of_this_loop()
        try:
            if (
                type(operation) is Commit
                and (answer := await self._charged_async(client, operation, prefix)) is not None
            ):
                done = compact.outcome(answer, operation)
                if done is not None:
                    return done
            if lasting(operation) and not self._replicas.none(self._client_of(prefix + operation.keys[0])):
                # This waits for a replica, or asks whether there is one, on a connection of its own.
                return await to_thread(self._run, operation, prefix)
            answer = await self._call_async(client, DIGEST, SCRIPT, self._asked(operation, prefix))
        except self._failures as error:
            raise StoreError(f"the state store is unavailable: {error}") from error
        return wire.outcome(answer, len(prefix))

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        return self._survey(f"{escaped(self._prefix)}{kind}:*", len(self._prefix), self._client.mget)

    def _survey(self, pattern: str, length: int, read: Callable[[list[bytes]], Any]) -> Iterator[tuple[str, Document]]:
        try:
            for keys in batched(self._client.scan_iter(match=pattern, count=BATCH), BATCH):
                for key, text in zip(keys, read(keys), strict=True):
                    if text is not None:
                        yield key.decode()[length:], opened(text)
        except self._failures as error:
            raise StoreError(f"the state store is unavailable: {error}") from error

    def _client_of(self, key: str) -> Any:
        """The client of the server with this key."""
        return self._client

    def _charged(self, commit: Commit, prefix: str) -> bytes | None:
        """The answer of the script for plain commits; None for a commit that is not plain."""
        connections = self._connections
        if isinstance(connections, Connections):
            command = self._compact.sent(commit, prefix, PLAIN_DIGEST, self._time())
            if command is None:
                return None
            with suppress(self._unknown_script):
                return connections.send(command)  # type: ignore[no-any-return]
        parts = self._compact_call(commit, prefix)
        return None if parts is None else self._call(PLAIN_DIGEST, PLAIN, parts)

    async def _charged_async(self, client: ClientConnectionsAsync, commit: Commit, prefix: str) -> bytes | None:
        if isinstance(client, ConnectionsAsync):
            command = self._compact.sent(commit, prefix, PLAIN_DIGEST, self._time())
            if command is None:
                return None
            with suppress(self._unknown_script):
                return await client.send(command)  # type: ignore[no-any-return]
        parts = self._compact_call(commit, prefix)
        return None if parts is None else await self._call_async(client, PLAIN_DIGEST, PLAIN, parts)

    def _call(self, digest: str, script: bytes, arguments: tuple[Any, ...]) -> Any:
        try:
            return self._connections.ask("EVALSHA", digest, *arguments)
        except self._unknown_script:
            # A restarted server does not know the script.
            return self._connections.ask("EVAL", script, *arguments)

    async def _call_async(self, client: Any, digest: str, script: bytes, arguments: tuple[Any, ...]) -> Any:
        try:
            return await client.ask("EVALSHA", digest, *arguments)
        except self._unknown_script:
            return await client.ask("EVAL", script, *arguments)

    def close(self) -> None:
        """Closes the sync connections; those of an event loop go with it, or with `close_async`."""
        self._client.close()

    async def close_async(self) -> None:
        client = self._clients.pop(get_running_loop(), None)
        if client is not None:
            await client.close()

    def _of_this_loop(self) -> Any:
        loop = get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # A host may start a new event loop for each request, and close nothing.
            for known in self._clients.keyrefs():
                if (one := known()) is not None and one.is_closed() and (over := self._clients.pop(one, None)):
                    over.leave()
            library = self._library.asyncio
            client = self._clients[loop] = self._connections_of_async(self._connect(library, library.retry.Retry))
        return client

    def _connections_of(self, client: Any) -> ClientConnections:
        """How commands are sent to a client's server."""
        return Connections(client)

    def _connections_of_async(self, client: Any) -> ClientConnectionsAsync:
        """How commands are sent to the server of a client in an event loop."""
        return ConnectionsAsync(client, self._deadline)

    def _settings(self, retry: Any) -> dict[str, Any]:
        return {
            "socket_timeout": self._deadline,
            "socket_connect_timeout": self._deadline,
            "retry": retry(self._library.backoff.NoBackoff(), 0),
        }

    def _asked(self, operation: Operation, prefix: str) -> tuple[Any, ...]:
        keys = [prefix + key for key in operation.keys]
        return len(keys), *keys, wire.encoded(operation, prefix), self._time()

    def _compact_call(self, operation: Commit, prefix: str) -> tuple[Any, ...] | None:
        """The call of the script for plain commits; None for a commit that is not plain."""
        if (asked := self._compact.asked(operation, prefix)) is None:
            return None
        keys, charges, lease = asked
        return len(keys), *keys, self._time(), charges, lease

    def _time(self) -> str:
        return "" if self._now is None else str(self._now())


def _in_resp2(url: str) -> str:
    """The URL without its own protocol version: with any other, a server also sends messages that answer no command."""
    address, _, query = url.partition("?")
    kept = [part for part in query.split("&") if part and not part.startswith("protocol=")]
    return f"{address}?{'&'.join(kept)}" if kept else address
