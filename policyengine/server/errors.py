"""Errors on the wire, in one shape: `{"error": {"status": 400, "message": "..."}}`.

A message is written for the person who reads it, and shows no value of the request. An error never carries a
decision: whoever asks gets a decision with status 200, or none.
"""

from __future__ import annotations

import json
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("policyengine.server")


class RequestError(Exception):
    """The request is refused with this HTTP status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Malformed(RequestError):
    """The request is not one; status 400."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)


def error_value(status: int, message: str) -> dict[str, Any]:
    return {"error": {"status": status, "message": message}}


def error_body(status: int, message: str) -> bytes:
    return json.dumps(error_value(status, message), separators=(",", ":")).encode()


async def http_error(_: Request, error: Exception) -> Response:
    """404, 405 and whatever else the router refuses, in the shape of every other error."""
    assert isinstance(error, HTTPException)
    body = error_body(error.status_code, error.detail.lower())
    return Response(body, error.status_code, headers=error.headers, media_type="application/json")


async def request_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return Response(error_body(error.status, error.message), error.status, media_type="application/json")


class Errors:
    """Middleware: an exception that nobody expected becomes a 500 without a decision, and a log line."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception:
            log.exception("unexpected error", request_id=scope.get("request_id"), path=scope["path"])
            if started:
                raise
            await send_json(send, 500, error_body(500, "internal error"))


async def send_json(send: Send, status: int, body: bytes, request_id: bytes | None = None) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if request_id is not None:
        headers.append((b"x-request-id", request_id))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
