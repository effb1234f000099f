"""Errors on the wire, in one shape: `{"error": {"status": 400, "message": "..."}}`.

A message is written for the person who reads it, and shows no value of the request. An error never carries a
decision: whoever asks gets a decision with status 200, or none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

log = structlog.get_logger("policyengine.server")


class RequestError(Exception):
    """The request is refused with this HTTP status and message, and headers of its own."""

    def __init__(self, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


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


async def unexpected(_: Request, __: Exception) -> Response:
    """What nobody expected; the pipeline logs it."""
    return Response(error_body(500, "internal error"), 500, media_type="application/json")


async def send_json(
    send: Send, status: int, body: bytes, request_id: bytes, more: Sequence[tuple[bytes, bytes]] = ()
) -> None:
    """An answer. `more` are headers beside those that every answer has."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
