"""Requests whose bodies are still arriving, for all connections of a process: how many bytes they may hold together.

Such a request does not count as under way until all of it is there, however slowly its client sends. The rest of a
longer body is passed on as it arrives.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policyengine.server.listener_refusals import overloaded

MOST_ARRIVING = 128 << 20
# Of one body.
MOST_KEPT = 1 << 20


class PendingBodies:
    """`count` is how many there are, `total` how many bytes they have."""

    def __init__(self, most: int = MOST_ARRIVING) -> None:
        self.most = most
        self.count = self.total = 0

    async def then(self, app: ASGIApp, is_full: Callable[[], bool], scope: Scope, receive: Receive, send: Send) -> None:
        """The application, once the request is there, if there is room for it by then."""
        self.count += 1
        try:
            body = await self.body(receive)
        finally:
            self.count -= 1
        if body is None or is_full():
            await overloaded(scope, receive, send)
        else:
            await app(scope, _replayed(body, receive), send)

    async def body(self, receive: Receive) -> Message | None:
        """The body of a request, or as much of it as is kept; None where all of them have too much."""
        kept = bytearray()
        counted = 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return message
                kept += message.get("body", b"")
                self.total += len(kept) - counted
                counted = len(kept)
                if self.total > self.most:
                    return None
                if not message.get("more_body") or counted > MOST_KEPT:
                    return {**message, "body": bytes(kept)}
        finally:
            self.total -= counted


def _replayed(message: Message, receive: Receive) -> Receive:
    """What receives this first."""
    left = [message]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received
