"""Authentication and sessions of the gateway over HTTP, in front of the application of the `mcp` library.

If the protocol has no sessions, an answer sets a cookie, and a client that sends it back has its own session: the
answer to `server/discover`, with which a client begins, or else the first answer that belongs to a session.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from secrets import token_urlsafe
from typing import Any

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken

from policyengine.callers.forwarded import origin
from policyengine.callers.refusal import Refusal
from policyengine.mcp.callers import Arrival, Entrance
from policyengine.mcp.failed_attempts import FailedAttempts

# Where the application finds who a request is from, and which session of the client's it belongs to.
ARRIVAL, VISIT = "policyengine.arrival", "policyengine.visit"
COOKIE = "policyengine-mcp"
_BEGINS = b"server/discover"
_HANDLE_LENGTH = 43


@dataclass(slots=True)
class Visit:
    """The handle of a session that a request brings, and the one that its answer is to bring."""

    handle: str | None = None
    gives: str | None = None


def new_handle() -> str:
    return token_urlsafe(32)


class GatewayMiddleware:
    """An ASGI application around another one."""

    def __init__(
        self, app: Any, entry: Entrance, attempts: FailedAttempts, proxies: Sequence[Any] = (), *, secure: bool = False
    ) -> None:
        self._app = app
        self._entry = entry
        self._attempts = attempts
        self._proxies = proxies
        self._secure = secure

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        said = self._entry.metadata(scope["path"])
        if said is not None:
            await _answer(send, 200, said, ((b"cache-control", b"max-age=300"), (b"access-control-allow-origin", b"*")))
            return
        given = _values(scope, b"authorization")
        arrival = await self._entry.admit(given[0] if given else None) if len(given) < 2 else None
        if not isinstance(arrival, Arrival):
            refusal = arrival or Refusal(400, "more than one Authorization header")
            # A token that is good, and good for less, is not a guess.
            if given and refusal.status != 403:
                client = scope.get("client")
                address = origin(client[0] if client else None, _values(scope, b"x-forwarded-for"), self._proxies)
                refusal = self._attempts.failed(refusal, address, given[0])
            await _answer(send, refusal.status, {"error": refusal.message}, refusal.headers)
            return
        await self._enter(scope, receive, send, arrival)

    async def _enter(self, scope: Any, receive: Any, send: Any, arrival: Arrival) -> None:
        visit = Visit(_handle(scope))
        if visit.handle is None and _values(scope, b"mcp-method") == [_BEGINS]:
            visit.gives = new_handle()
        inner = {**scope, ARRIVAL: arrival, VISIT: visit}
        if arrival.caller is not None:
            # The library leaves a session to the credential that began it.
            inner["user"] = AuthenticatedUser(
                AccessToken(token="", client_id=arrival.key, scopes=[], subject=arrival.caller.id)
            )

        async def sending(message: Any) -> None:
            if visit.gives is not None and message["type"] == "http.response.start":
                path = scope["path"].rstrip("/") or "/"
                cookie = f"{COOKIE}={visit.gives}; Path={path}; HttpOnly; SameSite=Strict"
                cookie += "; Secure" if self._secure else ""
                message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", cookie.encode())]}
            await send(message)

        await self._app(inner, receive, sending)


def _values(scope: Any, name: bytes) -> list[bytes]:
    return [value for each, value in scope["headers"] if each.lower() == name]


def _handle(scope: Any) -> str | None:
    """What the cookie of a request says, if it is one that could be ours."""
    jar: SimpleCookie = SimpleCookie()
    for value in _values(scope, b"cookie"):
        try:
            jar.load(value.decode("latin-1"))
        except CookieError:
            return None
    handle = jar[COOKIE].value if COOKIE in jar else ""
    return handle if len(handle) == _HANDLE_LENGTH else None


async def _answer(
    send: Any, status: int, body: Mapping[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    text = json.dumps(body).encode()
    sent = [(b"content-type", b"application/json"), (b"content-length", str(len(text)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": text})
