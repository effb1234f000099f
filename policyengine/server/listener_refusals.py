"""The answers that the listener gives itself, before any application is called."""

from __future__ import annotations

import json

from starlette.types import Receive, Scope, Send

from policyengine.server.security_headers import headers

_TITLES = {
    400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip
_TYPE = (b"content-type", b"application/problem+json")


def refusal(status: int, detail: str, scheme: str) -> bytes:
    """The bytes of a refusal, after which the connection is closed."""
    body = _problem(status, detail)
    headers_sent = [_TYPE, (b"content-length", b"%d" % len(body)), (b"connection", b"close"), *headers(scheme)]
    lines = [b"%b: %b\r\n" % header for header in headers_sent]
    return b"".join([b"HTTP/1.1 %d %b\r\n" % (status, _TITLES[status].encode()), *lines, b"\r\n", body])


async def overloaded(scope: Scope, _: Receive, send: Send) -> None:
    """The answer to a request beyond the cap."""
    headers_sent = [_TYPE, (b"content-length", b"%d" % len(_BODY)), (b"retry-after", b"1"), *headers(scope["scheme"])]
    await send({"type": "http.response.start", "status": 503, "headers": headers_sent})
    await send({"type": "http.response.body", "body": _BODY})


def _problem(status: int, detail: str) -> bytes:
    problem = {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail}
    return json.dumps(problem, separators=(",", ":")).encode()


_BODY = _problem(503, "too many requests at once")
