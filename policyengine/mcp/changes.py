"""Word of lists that changed, from the servers behind to the clients in front."""

from __future__ import annotations

import logging
from typing import Any
from weakref import WeakSet

import mcp_types as types
from mcp.server.session import ServerSession

log = logging.getLogger(__name__)


class Changes:
    """Who has seen a list hears when it changes. A client that cannot be told is told nothing: it asks again."""

    def __init__(self) -> None:
        self._clients: WeakSet[ServerSession] = WeakSet()

    def heard_by(self, client: ServerSession) -> None:
        self._clients.add(client)

    async def heard(self, message: Any) -> None:
        """A server behind said something."""
        for client in list(self._clients):
            try:
                match message:
                    case types.ToolListChangedNotification():
                        await client.send_tool_list_changed()
                    case types.ResourceListChangedNotification():
                        await client.send_resource_list_changed()
                    case types.PromptListChangedNotification():
                        await client.send_prompt_list_changed()
                    case _:
                        return
            except Exception:  # noqa: BLE001  whatever is wrong with one client is nothing to the others
                log.info("a client could not be told that a list has changed")
