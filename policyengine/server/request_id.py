"""Middleware: every response carries an X-Request-ID, the caller's own where it sent a usable one.

AuthZEN 1.0, "Request Identification": an identifier that came with the request is returned unchanged. Usable is
printable ASCII of at most 200 characters; anything else could forge log lines, and is replaced.
"""

from __future__ import annotations

import re
import secrets
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_USABLE = re.compile(rb"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")


class Identify:
    """Finds the identifier of a request, or makes one: ASCII."""

    def __init__(self) -> None:
        # Unique without a random number for every request: one per process, then counted.
        self._prefix = secrets.token_hex(8).encode()
        self._count = count(1)

    def __call__(self, scope: Scope) -> bytes:
        identifier = b""
        for name, value in scope["headers"]:
            if name == b"x-request-id":
                identifier = value
                break
        if not identifier or not _USABLE.fullmatch(identifier):
            identifier = b"%b-%x" % (self._prefix, next(self._count))
        return identifier


class RequestId:
    """Adds the identifier to the response."""

    def __init__(self, app: ASGIApp, identify: Identify) -> None:
        self.app = app
        self.identify = identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        identifier = self.identify(scope)
        # For log lines.
        scope["request_id"] = identifier.decode("ascii")

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", identifier)]
            await send(message)

        await self.app(scope, receive, sending)
