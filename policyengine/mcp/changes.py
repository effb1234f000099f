"""Notices that lists have changed, from the servers behind the gateway to the clients in front of it.

A server of the revision 2026-07-28 is listened to, and so is this gateway (`subscriptions/listen`). Older servers
notify everybody who has seen a list.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakSet

import anyio
import mcp_types as types
from anyio.abc import TaskGroup
from mcp import Client
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from mcp.server.connection import Connection
from mcp.server.session import ServerSession
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import PromptsListChanged, ResourcesListChanged, ResourceUpdated, ServerEvent
from mcp.shared.subscriptions import ToolsListChanged as ToolsChanged

log = logging.getLogger(__name__)

# A server that lets go of who listens is listened to again, after so many seconds.
PAUSE = 1.0
_EVENTS: tuple[tuple[type[Any], ServerEvent], ...] = (
    (types.ToolListChangedNotification, ToolsChanged()),
    (types.ResourceListChangedNotification, ResourcesListChanged()),
    (types.PromptListChangedNotification, PromptsListChanged()),
)


async def _unheard(_: Any) -> None:
    """Nobody wants to hear it."""


class Changes:
    """Who has seen a list hears when it changes. A client that cannot be told is told nothing: it asks again."""

    def __init__(self) -> None:
        # A session of the library is a request's, its connection is a client's.
        self._clients: WeakSet[Connection] = WeakSet()
        self._bus = InMemorySubscriptionBus()
        self.listen = ListenHandler(self._bus)
        # What was known of the servers behind is not known any more.
        self.forget: Callable[[], None] = lambda: None
        # Where servers behind are listened to; None where there is no such place.
        self.tasks: TaskGroup | None = None
        self.updated: Callable[[str], Awaitable[None]] = _unheard
        self.logged: Callable[[types.LoggingMessageNotificationParams], Awaitable[None]] = _unheard

    def heard_by(self, client: ServerSession) -> None:
        self._clients.add(client._connection)

    async def heard(self, message: Any) -> None:
        """A server behind said something."""
        match message:
            case types.ResourceUpdatedNotification():
                await self.updated(str(message.params.uri))
            case types.LoggingMessageNotification():
                await self.logged(message.params)
        for kind, event in _EVENTS:
            if isinstance(message, kind):
                await self.happened(event)

    async def publish(self, event: ServerEvent) -> None:
        """Those who listen hear it, as far as they wanted to."""
        await self._bus.publish(event)

    async def happened(self, event: ServerEvent) -> None:
        self.forget()
        await self.publish(event)
        for client in list(self._clients):
            try:
                match event:
                    case ToolsChanged():
                        await client.send_tool_list_changed()
                    case ResourcesListChanged():
                        await client.send_resource_list_changed()
                    case PromptsListChanged():
                        await client.send_prompt_list_changed()
                    case ResourceUpdated():
                        return
            except Exception:  # noqa: BLE001  whatever is wrong with one client is nothing to the others
                log.info("a client could not be told that a list has changed")

    async def listen_to(self, server: Client) -> None:
        """Listen to a server behind, for as long as it lets us; one that says it on its own is not listened to."""
        wanted = {"tools_list_changed": True, "prompts_list_changed": True, "resources_list_changed": True}
        while True:
            try:
                async with server.listen(**wanted) as told:  # type: ignore[arg-type]
                    # What comes is a message like any other, and heard as one.
                    async for _ in told:
                        pass
            except (ListenNotSupportedError, MCPError, TimeoutError):
                return
            except SubscriptionLost:
                log.info("a server behind stopped saying what changes")
            # What changed meanwhile was not heard.
            self.forget()
            await anyio.sleep(PAUSE)
