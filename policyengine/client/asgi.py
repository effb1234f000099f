"""A middleware in front of any ASGI application: a request goes on only if it is allowed and owes nothing.

What is asked is made of the request's scope by a function of the application. One that raises, or gives nothing,
refuses the request; what needs no decision is said to be PUBLIC.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final

from policyengine.client.client import AsyncClient

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Public:
    """The type of PUBLIC."""


PUBLIC: Final = Public()
# The keywords of `decide`.
Asked = Mapping[str, Any]


class Enforce:
    """Around `app`. `question` makes what is asked of an HTTP or WebSocket scope."""

    def __init__(self, app: Application, client: AsyncClient, question: Callable[[Scope], Asked | Public]) -> None:
        self.app = app
        self.client = client
        self.question = question

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and not await self._is_allowed(scope):
            await _refuse(scope, send)
            return
        await self.app(scope, receive, send)

    async def _is_allowed(self, scope: Scope) -> bool:
        try:
            asked = self.question(scope)
            return isinstance(asked, Public) or (await self.client.decide(**asked)).allowed
        except Exception:  # noqa: BLE001 - whatever it is, nothing was allowed
            return False


async def _refuse(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = json.dumps({"type": "about:blank", "title": "Forbidden", "status": 403}).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
