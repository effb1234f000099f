"""uvicorn's HTTP protocol, with what it does not do itself: the certificate of the peer, and a cap on what is going on.

`scope["extensions"]` has the certificate that TLS has verified (DER), under `authentication.CERTIFICATE`. A request
beyond the cap is answered 503 at once, before anything is done for it, so that those that were accepted are not late;
`/healthz` is always answered.
"""

from __future__ import annotations

import json
import os
from typing import Any

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from policyengine.server.authentication import CERTIFICATE
from policyengine.server.hygiene import headers

CAP = "POLICYENGINE_LIMITS__CONCURRENCY"
_ALWAYS = "/healthz"
_BODY = json.dumps(
    {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": "too many requests at once"},
    separators=(",", ":"),
).encode()


async def overloaded(scope: Scope, _: Receive, send: Send) -> None:
    """The answer to a request beyond the cap."""
    found = [
        (b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(_BODY)), (b"retry-after", b"1")
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": 503, "headers": [*found, *headers(scope["scheme"])]})
    await send({"type": "http.response.body", "body": _BODY})


class Listener(HttpToolsProtocol):
    """One connection."""

    cap = int(os.environ.get(CAP, "128"))
    _extensions: dict[str, Any] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            self._extensions = {CERTIFICATE: certificate}

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if len(self.tasks) >= self.cap and cycle.scope["path"] != _ALWAYS:
            app = overloaded
        super()._start_asgi_task(cycle, app)
