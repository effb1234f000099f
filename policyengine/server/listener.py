"""uvicorn's HTTP protocol, with what it does not do itself: the certificate of the peer, and bounds on what one peer,
and all of them together, may take.

`scope["extensions"]` has the certificate that TLS has verified (DER), under `authentication.CERTIFICATE`. A request
beyond the cap is answered 503 at once, before anything is done for it, and so is one that has waited for its turn for
too long while there is too much to do (`backlog.py`), so that those that were accepted are not late; `/healthz` is
always answered. Headers are bounded in number, size and time, bodies in time, and so are connections, and
answers that nobody reads. A request that two servers could understand differently is refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
from time import monotonic
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from policyengine.server.authentication import CERTIFICATE
from policyengine.server.backlog import Backlog
from policyengine.server.hygiene import headers
from policyengine.server.unread import UnreadAnswers


def _limit(name: str, default: float) -> float:
    """A setting of `[limits]`: `serve` hands on what the settings say, as there is no application yet."""
    return float(os.environ.get(f"POLICYENGINE_LIMITS__{name.upper()}", default))


# Headers of one request: how many, and how many bytes of them and the path together.
MAX_HEADERS, MAX_HEADER_BYTES = int(_limit("headers", 100)), int(_limit("header_bytes", 65_536))
# So many files are left to the service itself, whatever connections there are.
OWN_FILES = 128
MOST_CONNECTIONS = 4_096
_ALWAYS = "/healthz"
_EVENTS = b"text/event-stream"


def _problem(status: int, title: str, detail: str) -> bytes:
    found = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return json.dumps(found, separators=(",", ":")).encode()


_BODY = _problem(503, "Service Unavailable", "too many requests at once")
_TITLES = {
    400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large", 501: "Not Implemented",
    503: "Service Unavailable",
}  # fmt: skip


async def overloaded(scope: Scope, _: Receive, send: Send) -> None:
    """The answer to a request beyond the cap."""
    found = [
        (b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(_BODY)), (b"retry-after", b"1")
    ]  # fmt: skip
    await send({"type": "http.response.start", "status": 503, "headers": [*found, *headers(scope["scheme"])]})
    await send({"type": "http.response.body", "body": _BODY})


def _most_connections() -> int:
    """As many as there are files for, with some to spare."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(files - OWN_FILES, files // 2))


class _Refused(Exception):
    """Raised within a callback of the parser, which then reads no further."""


class Listener(HttpToolsProtocol):
    """One connection."""

    cap = int(_limit("concurrency", 128))
    # Of all connections of this process.
    backlog = Backlog(_limit("wait", 0.025))
    unread = UnreadAnswers()
    most_connections = int(_limit("connections", 0)) or _most_connections()
    # How long headers of a request may take, and then its body, and how long an answer may wait for a peer that does
    # not read.
    header_seconds, body_seconds = _limit("header_seconds", 15.0), _limit("body_seconds", 60.0)
    read_seconds = _limit("read_seconds", 30.0)
    _extensions: dict[str, Any] | None = None
    # What to say to a request that is refused as it is read.
    _refusal: tuple[int, str] | None = None
    _deadline: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None
    _size = 0
    _is_stream = False
    # A request that waits for its peer to read the answer to the one before: until then it takes nobody's place.
    _held: tuple[Any, Any] | None = None
    _resuming = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(503, "too many connections")
            return
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            self._extensions = {CERTIFICATE: certificate}
        self._allow(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._allow(None)
        if self._unread is not None:
            self._unread.cancel()
        self.unread.over(self.transport)
        self._held = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        # It has none any more once it is lost.
        while getattr(self, "parser", None) is not None and not self.transport.is_closing():
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as offer:
                # An offer to speak something else may be passed over (RFC 9110, 7.8): what follows is HTTP/1.1.
                data = data[offer.args[0] :]
                self._pass_over()
            except httptools.HttpParserError:
                self._refuse(*(self._refusal or (400, "this is not HTTP/1.1")))

    def on_message_begin(self) -> None:
        if self._resuming:
            return
        super().on_message_begin()
        self._size, self._is_stream = 0, False
        self._allow(self.header_seconds)
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions

    def on_url(self, url: bytes) -> None:
        if self._resuming:
            return
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._resuming:
            return
        super().on_header(name, value)
        self._size += len(name) + len(value)
        if self._size > MAX_HEADER_BYTES:
            self._count(0)
        if len(self.headers) > MAX_HEADERS:
            self._fail(431, f"there are more than {MAX_HEADERS} headers")

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        hosts, codings, self._is_stream = 0, [], False
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings.append(value.strip().lower())
            elif name == b"content-type" and value.startswith(_EVENTS):
                self._is_stream = True
        if hosts > 1:
            self._fail(400, "there are two `Host` headers")
        if codings and codings != [b"chunked"]:
            self._fail(501, "a body has no `Transfer-Encoding` but `chunked`")
        self._allow(self.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._is_stream:
            # A stream may go on for as long as something comes.
            self._allow(self.body_seconds)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade() and self._framing():
            # The parser takes it that there is no body, which is still to come.
            return
        self._allow(None)
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(self.read_seconds, self.transport.abort)
        self.unread.waits(self.transport)

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        self.unread.over(self.transport)
        super().resume_writing()
        held, self._held = self._held, None
        if held is not None:
            self._start_asgi_task(*held)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self.flow.write_paused:
            self._held = cycle, app
            return
        if cycle.scope["path"] != _ALWAYS:
            if len(self.tasks) >= self.cap:
                self.backlog.full(monotonic())
                app = overloaded
            else:
                app = self._in_turn(app)
        super()._start_asgi_task(cycle, app)

    def _in_turn(self, app: Any) -> Any:
        """The application, unless the request has waited for too long once it is its turn."""
        backlog, arrived = self.backlog, monotonic()

        def turn(scope: Scope, receive: Receive, send: Send) -> Any:
            now = monotonic()
            return (overloaded if backlog.refuses(now - arrived, now) else app)(scope, receive, send)

        return turn

    def _framing(self) -> list[tuple[bytes, bytes]]:
        """The headers that say how long the body is, if there is one."""
        return [each for each in self.headers if each[0] in (b"content-length", b"transfer-encoding")]

    def _pass_over(self) -> None:
        """After an offer the parser reads no further, so another one does, from the body on."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        framing = self._framing()
        if framing:
            self._resuming = True
            self.parser.feed_data(
                b"".join([b"POST / HTTP/1.1\r\n", *(b"%b: %b\r\n" % each for each in framing), b"\r\n"])
            )
            self._resuming = False

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > MAX_HEADER_BYTES:
            self._fail(431, f"path and headers have more than {MAX_HEADER_BYTES} bytes")

    def _allow(self, seconds: float | None) -> None:
        """So long, from now on, for what is being read; None for as long as it takes."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(seconds, self._late) if seconds is not None else None

    def _late(self) -> None:
        cycle: Any = self.cycle
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._refuse(408, "the request took too long to arrive")

    def _fail(self, status: int, detail: str) -> None:
        self._refusal = (status, detail)
        raise _Refused(detail)

    def _refuse(self, status: int, detail: str) -> None:
        """Says why, and reads no further."""
        body = _problem(status, _TITLES[status], detail)
        found = [(b"content-type", b"application/problem+json"), (b"content-length", b"%d" % len(body))]
        lines = [b"%b: %b\r\n" % header for header in (*found, (b"connection", b"close"), *headers(self.scheme or ""))]
        self.transport.write(
            b"".join([b"HTTP/1.1 %d %b\r\n" % (status, _TITLES[status].encode()), *lines, b"\r\n", body])
        )
        self._allow(None)
        self.transport.close()
