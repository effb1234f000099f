"""Waits for a replica of a Redis, if there is one: an operation that must survive the loss of a server is not done
before.

A script and `WAIT` go over one connection, because `WAIT` confirms what was written over its own connection. Whether
there is a replica is checked once a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import Any

from policyengine.state.store import StoreError

# How long the number of a server's replicas is remembered, in seconds.
KNOWN = 1.0

UNCONFIRMED = "no replica has confirmed it in time, so that a failover could lose it"


class Replicas:
    """The known replicas of servers, by their clients."""

    def __init__(self, deadline: float) -> None:
        # Half of a command's deadline, so that the answer of `WAIT` arrives in time.
        self._patience = max(1, round(deadline * 500))
        self._found: dict[int, tuple[Any, float, bool]] = {}

    def none(self, client: Any) -> bool:
        """Whether it is known, without asking, that this server has none."""
        known = self._found.get(id(client))
        return known is not None and known[0] is client and not known[2] and monotonic() - known[1] < KNOWN

    def any(self, client: Any) -> bool:
        """Whether this server has a replica."""
        known = self._found.get(id(client))
        if known is None or known[0] is not client or monotonic() - known[1] >= KNOWN:
            some = int(client.info("replication").get("connected_slaves", 0)) > 0
            known = self._found[id(client)] = (client, monotonic(), some)
        return known[2]

    def confirmed(self, client: Any, unknown: type[Exception], digest: str, script: bytes, asked: Sequence[Any]) -> Any:
        """The answer of the script, once a replica has what it wrote. Raises StoreError if none confirms it in time."""
        answered, replicas = self._sent(client, ("EVALSHA", digest, *asked))
        if isinstance(answered, unknown):
            answered, replicas = self._sent(client, ("EVAL", script, *asked))
        for answer in (answered, replicas):
            if isinstance(answer, Exception):
                raise answer
        if replicas < 1:
            raise StoreError(UNCONFIRMED)
        return answered

    def _sent(self, client: Any, command: tuple[Any, ...]) -> list[Any]:
        with client.pipeline(transaction=False) as pipeline:
            pipeline.execute_command(*command)
            pipeline.execute_command("WAIT", 1, self._patience)
            replies: list[Any] = pipeline.execute(raise_on_error=False)
            return replies
