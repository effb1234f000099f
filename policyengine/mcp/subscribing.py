"""What clients subscribe to: resources that change, and the logs of servers.

Only a client that asked is notified. The gateway subscribes to a resource at its server once, for as long as any client
wants it: by `resources/subscribe`, or by listening if the server is of the revision 2026-07-28. Log messages are the
words of a stranger, like the results of tools: they are checked, and they mark the session of the client that receives
them.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import anyio
import mcp_types as types
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.server.connection import Connection
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from policyengine.mcp.changes import PAUSE, Changes
from policyengine.mcp.upstream import Upstream

log = logging.getLogger(__name__)

# As syslog has them, the least first.
LEVELS = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")
# So many resources are subscribed to at the servers behind, at most.
MOST = 1_000
# What of an entry of a log may be told; None for nothing.
Looks = Callable[[Any], Awaitable[Any]]


@dataclass(eq=False)
class _Wanted:
    """A resource that somebody wants to hear of."""

    upstream: Upstream
    clients: WeakSet[Connection] = field(default_factory=WeakSet)
    listening: int = 0
    scope: anyio.CancelScope | None = None


class Subscribing:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._wanted: dict[str, _Wanted] = {}
        self._changing = anyio.Lock()
        self._levels: WeakKeyDictionary[Connection, tuple[int, Looks]] = WeakKeyDictionary()
        changes.updated = self._updated
        changes.logged = self._logged

    # ---- resources ----

    async def subscribe(self, client: Connection, upstream: Upstream, uri: str) -> None:
        """The client hears of the resource from now on. Raises MCPError where the server behind does not say it."""
        (await self._begun(upstream, uri)).clients.add(client)

    async def unsubscribe(self, client: Connection, uri: str) -> None:
        wanted = self._wanted.get(uri)
        if wanted is not None:
            wanted.clients.discard(client)
            await self._settle(uri, wanted)

    @asynccontextmanager
    async def listening(self, resources: Iterable[tuple[Upstream, str]]) -> AsyncIterator[None]:
        """While this lasts, somebody listens to these resources. Raises MCPError."""
        async with AsyncExitStack() as stack:
            for upstream, uri in resources:
                wanted = await self._begun(upstream, uri)
                wanted.listening += 1
                stack.push_async_callback(self._unheard, uri, wanted)
            yield

    async def _unheard(self, uri: str, wanted: _Wanted) -> None:
        wanted.listening -= 1
        # Who listens is most often cut off.
        with anyio.CancelScope(shield=True):
            await self._settle(uri, wanted)

    async def _begun(self, upstream: Upstream, uri: str) -> _Wanted:
        async with self._changing:
            wanted = self._wanted.get(uri)
            if wanted is not None and wanted.upstream is upstream:
                return wanted
            if len(self._wanted) >= MOST:
                raise MCPError(types.INTERNAL_ERROR, "too many resources are subscribed to")
            wanted = _Wanted(upstream)
            if upstream.client.protocol_version in MODERN_PROTOCOL_VERSIONS:
                if self._changes.tasks is None:
                    raise MCPError(types.INTERNAL_ERROR, "no connection to the upstream servers is open")
                await self._changes.tasks.start(self._follow, wanted, uri)
            else:
                request = types.SubscribeRequest(params=types.SubscribeRequestParams(uri=uri))
                await upstream.client.session.send_request(request, types.EmptyResult)
            self._wanted[uri] = wanted
            return wanted

    async def _settle(self, uri: str, wanted: _Wanted) -> None:
        """What nobody wants any more is not asked for any more."""
        async with self._changing:
            if wanted.listening or wanted.clients or self._wanted.get(uri) is not wanted:
                return
            del self._wanted[uri]
            if wanted.scope is not None:
                wanted.scope.cancel()
                return
            request = types.UnsubscribeRequest(params=types.UnsubscribeRequestParams(uri=uri))
            try:
                await wanted.upstream.client.session.send_request(request, types.EmptyResult)
            except MCPError:
                log.info("a server behind goes on telling of a resource")

    async def _follow(self, wanted: _Wanted, uri: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Listen to a resource of a server of the revision 2026-07-28. Raises MCPError before it has begun."""
        begun = False
        with anyio.CancelScope() as wanted.scope:
            while True:
                try:
                    async with wanted.upstream.client.listen(resource_subscriptions=[uri]) as told:
                        if not begun:
                            begun = True
                            task_status.started()
                        # What comes is a message like any other, and heard as one.
                        async for _ in told:
                            pass
                except (ListenNotSupportedError, MCPError, SubscriptionLost, TimeoutError) as error:
                    if not begun:
                        raise MCPError(types.INTERNAL_ERROR, "the server behind does not tell of resources") from error
                await anyio.sleep(PAUSE)

    async def _updated(self, uri: str) -> None:
        wanted = self._wanted.get(uri)
        if wanted is None:
            return
        for client in list(wanted.clients):
            await client.send_resource_updated(uri)
        if wanted.listening:
            await self._changes.publish(ResourceUpdated(uri))
        if not wanted.listening and not wanted.clients and self._changes.tasks is not None:
            # Here the server behind waits to be heard, and cannot be asked.
            self._changes.tasks.start_soon(self._settle, uri, wanted)

    # ---- logs ----

    async def set_level(
        self, client: Connection, level: types.LoggingLevel, upstreams: Iterable[Upstream], looks: Looks
    ) -> None:
        """The client hears what the servers behind write to their logs, from this level on. `looks` says what of it may
        be told. Raises MCPError where a server does not take the level."""
        others = [each for one, (each, _) in self._levels.items() if one is not client]
        lowest = LEVELS[min([LEVELS.index(level), *others])]
        for upstream in upstreams:
            ours = upstream.client
            if ours.server_capabilities.logging is not None and ours.protocol_version not in MODERN_PROTOCOL_VERSIONS:
                request = types.SetLevelRequest(params=types.SetLevelRequestParams(level=lowest))
                await ours.session.send_request(request, types.EmptyResult)
        self._levels[client] = LEVELS.index(level), looks

    async def _logged(self, said: types.LoggingMessageNotificationParams) -> None:
        for client, (level, looks) in list(self._levels.items()):
            if LEVELS.index(said.level) < level:
                continue
            data = await looks(said.data)
            if data is not None:
                named = {} if said.logger is None else {"logger": said.logger}
                await client.notify("notifications/message", {"level": said.level, "data": data, **named})
