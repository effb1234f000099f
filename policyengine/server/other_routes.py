"""All routes that are not questions: metadata, health, pages. Another application answers them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from policyengine.callers.caller import Caller
from policyengine.server.errors import error_body, log, send_json
from policyengine.server.security_headers import added


async def hand_over(
    rest: ASGIApp, scope: Scope, receive: Receive, send: Send, identifier: bytes, caller: Caller
) -> int:  # fmt: skip
    """The status with which the other application answers. An error there is a 500, as long as nothing was sent."""
    status, complete = 0, False

    async def sending(message: Message) -> None:
        nonlocal status, complete
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = added([*message.get("headers", ()), (b"x-request-id", identifier)], scope["scheme"])
            message["headers"] = headers
        complete = message["type"] == "http.response.body" and not message.get("more_body")
        await send(message)

    try:
        await rest({**scope, "caller": caller, "request_id": identifier.decode("ascii")}, receive, sending)
    except Exception:
        log.exception("unexpected error", request_id=identifier.decode("ascii"), path=scope["path"])
        if status and not complete:
            raise
        if not status:
            status = 500
            body = error_body(500, "internal error", identifier.decode("ascii"))
            await send_json(send, 500, body, identifier, scope["scheme"])
    return status
