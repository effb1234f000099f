"""Errors on the wire, in one form: problem details (RFC 9457), with the identifier of the request.

    {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "...", "request_id": "..."}

A message is written for the person who reads it, and shows no value of the request. An error never contains a decision:
a decision always has status 200.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Send

from policyengine.server import security_headers

log = structlog.get_logger("policyengine.server")


class RequestError(Exception):
    """The request is refused with this HTTP status and message, and headers of its own. `type` is the URI of the
    problem, where a specification names one."""

    def __init__(
        self, status: int, message: str, headers: Sequence[tuple[bytes, bytes]] = (), type: str = "about:blank"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers
        self.type = type


PROBLEM = "application/problem+json"
AWAY = "the state store is unavailable"


def error_value(status: int, message: str) -> dict[str, Any]:
    """The error in the context of an evaluation that is not a request."""
    return {"error": {"status": status, "message": message}}


def error_body(status: int, message: str, request_id: str, type_: str = "about:blank") -> bytes:
    """The problem details of a whole answer."""
    title = HTTPStatus(status).phrase if status in _STATUSES else "Error"
    problem = {"type": type_, "title": title, "status": status, "detail": message, "request_id": request_id}
    return json.dumps(problem, separators=(",", ":")).encode()


_STATUSES = {each.value for each in HTTPStatus}


async def http_error(request: Request, error: Exception) -> Response:
    """404, 405 and all other refusals of the router, in the form of every other error."""
    assert isinstance(error, HTTPException)
    return _problem(request, error.status_code, error.detail.lower(), dict(error.headers or {}))


async def request_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {name.decode(): value.decode("latin-1") for name, value in error.headers}
    return _problem(request, error.status, error.message, headers, error.type)


async def store_away(request: Request, _: Exception) -> Response:
    """The state store is unavailable, whatever was to be done with it."""
    return _problem(request, 503, AWAY, {})


async def unexpected(request: Request, _: Exception) -> Response:
    """The answer to an unexpected exception; the pipeline logs it."""
    return _problem(request, 500, "internal error", {})


def _problem(
    request: Request, status: int, message: str, headers: dict[str, str], type_: str = "about:blank"
) -> Response:
    body = error_body(status, message, request.scope.get("request_id", ""), type_)
    return Response(body, status, headers=headers, media_type=PROBLEM)


async def send_json(
    send: Send,
    status: int,
    body: bytes,
    request_id: bytes,
    scheme: str = "http",
    more: Sequence[tuple[bytes, bytes]] = (),
) -> None:
    """Sends an answer; if the status is not a success, as problem details. `more` are headers in addition to those of
    every answer."""
    headers = [
        (b"content-type", b"application/json" if status < 300 else b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id),
        *security_headers.headers(scheme),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
