"""uvicorn's HTTP protocol, with what it lacks: the certificate of the peer, and bounds on what one peer, and all peers
together, may take.

`scope["extensions"]` holds the certificate that TLS has verified (DER), under `authentication.CERTIFICATE`. A request
beyond the cap is answered 503 at once, before any work is done for it. So is a request that has waited too long for its
turn while the process is overloaded (`load_shedding.py`), so that accepted requests are not late. `/healthz` is always
answered. A request counts as under way once all of it has arrived (`pending_bodies.py`). Headers are bounded in number,
size and time, bodies in time, and so are connections and unread answers. A request that two servers could understand
differently is refused.

A short question that has arrived in full goes through the pipeline at once (`Pipeline.directly`), and its answer is one
write. Everything else is a task, as in uvicorn.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
from collections.abc import Mapping
from enum import Enum
from time import monotonic
from types import MappingProxyType
from typing import Any

import httptools
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from policyengine.authzen.endpoints import RELEASE
from policyengine.server.authentication import CERTIFICATE
from policyengine.server.deadline import Deadline
from policyengine.server.listener_refusals import overloaded, refusal
from policyengine.server.load_shedding import Backlog
from policyengine.server.loop_turns import Turn
from policyengine.server.pending_bodies import MOST_KEPT, PendingBodies
from policyengine.server.pipeline import Peer, Pipeline, Question
from policyengine.server.response_head import AnswerHeads
from policyengine.server.unread_answers import UnreadAnswers


def _limit(name: str, default: float) -> float:
    """A setting of `[limits]`: `serve` hands on what the settings say, as there is no application yet."""
    return float(os.environ.get(f"POLICYENGINE_LIMITS__{name.upper()}", default))


# Headers of one request: how many, and how many bytes of them and the path together.
MAX_HEADERS, MAX_HEADER_BYTES = int(_limit("headers", 100)), int(_limit("header_bytes", 65_536))
# The number of open files that are reserved for the service itself.
OWN_FILES = 128
MOST_CONNECTIONS = 4_096
_ALWAYS = "/healthz"
_EVENTS = b"text/event-stream"
# The headers of a request that is more than a plain question.
_UNUSUAL = frozenset({b"transfer-encoding", b"content-encoding", b"expect", b"upgrade"})
# A body whose length has more digits is not short.
_DIGITS = 6


class _At(Enum):
    """The state of a connection; the first three states have a time limit."""

    HEADERS = 1
    BODY = 2
    IDLE = 3
    ANSWER = 4


def _most_connections() -> int:
    """The limit of open files, less a reserve."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(files - OWN_FILES, files // 2))


class _Refused(Exception):
    """Raised within a callback of the parser, which then stops reading."""


class Listener(HttpToolsProtocol):
    """One connection."""

    cap = int(_limit("concurrency", 128))
    # Of all connections of this process.
    backlog = Backlog(_limit("wait", 0.025))
    unread = UnreadAnswers()
    arriving = PendingBodies()
    most_connections = int(_limit("connections", 0)) or _most_connections()
    # How long headers of a request may take, and then its body, and how long an answer may wait for a peer that does
    # not read.
    header_seconds, body_seconds = _limit("header_seconds", 15.0), _limit("body_seconds", 60.0)
    read_seconds = _limit("read_seconds", 30.0)
    # Of all connections of this process.
    heads, turn = AnswerHeads(), Turn()
    _extensions: dict[str, Any] | None = None
    # The refusal of a request, if it is refused while it is read.
    _refusal: tuple[int, str] | None = None
    _unread: asyncio.TimerHandle | None = None
    _size = 0
    _is_stream = False
    # Whether the body is too long to be kept; if it exceeds the limit, it is refused before it arrives.
    _is_long = False
    # A request that waits for its peer to read the answer to the one before: until then it takes nobody's place.
    _held: tuple[Any, Any] | None = None
    # The current state, which the deadline is for.
    _at: _At = _At.HEADERS
    _timed: _At | None = None
    # What can be answered directly, by path; what is being read of it; and whether this one may be, as of what is read
    # at once no second one is.
    _questions: Mapping[bytes, Question] = MappingProxyType({})
    _direct: Question | None = None
    _is_first = True
    # The application that answers a request once it has had its turn.
    _settled: Any = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._resuming = False  # here, as each part of a request asks for it: a default of the class is slower
        self._deadline = Deadline(self.loop, self._late)
        self._found: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        # Applications around the pipeline must not be bypassed.
        is_logged = self.access_log and self.access_logger.isEnabledFor(logging.INFO)
        if isinstance(self.app, Pipeline) and not is_logged and not self.root_path:
            self._pipeline = self.app
            self._questions = self.app.direct_questions()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            self._refuse(503, "too many connections")
            return
        tls = transport.get_extra_info("ssl_object")
        certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        if certificate:
            self._extensions = {CERTIFICATE: certificate}
        self._peer = Peer(self.server, self.client)
        self._deadline.move(self.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.end()
        if self._unread is not None:
            self._unread.cancel()
        self.unread.over(self.transport)
        self._held = self._direct = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        self._is_first = True
        # A lost connection has none.
        while getattr(self, "parser", None) is not None and not self.transport.is_closing():
            try:
                self.parser.feed_data(data)
                break
            except httptools.HttpParserUpgrade as offer:
                # An offer of another protocol may be ignored (RFC 9110, 7.8): what follows is HTTP/1.1.
                data = data[offer.args[0] :]
                self._pass_over()
            except httptools.HttpParserError:
                self._refuse(*(self._refusal or (400, "this is not HTTP/1.1")))
        if self._timed is not self._at and not self.transport.is_closing():
            self._time()

    def on_message_begin(self) -> None:
        if self._resuming:
            return
        self.url = b""
        self.headers = []
        self._size, self._is_stream, self._is_long = 0, False, False
        self._at, self._timed = _At.HEADERS, None

    def on_url(self, url: bytes) -> None:
        if self._resuming:
            return
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._resuming:
            return
        headers = self.headers
        headers.append((name.lower(), value))
        self._size = size = self._size + len(name) + len(value)
        if size > MAX_HEADER_BYTES:
            self._count(0)
        if len(headers) > MAX_HEADERS:
            self._fail(431, f"there are more than {MAX_HEADERS} headers")

    def on_headers_complete(self) -> None:
        if self._resuming:
            return
        self._at = _At.BODY
        question = self._questions.get(self.url)
        if question is not None and self._is_plain(question):
            self._direct, self._parts = question, []
            return
        hosts, codings = 0, []
        for name, value in self.headers:
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding":
                codings.append(value.strip().lower())
            elif name == b"content-type" and value.startswith(_EVENTS):
                # Other endpoints do not read one.
                self._is_stream = RELEASE.encode() in self.url
            elif name == b"content-length" and len(value) > _DIGITS:
                self._is_long = int(value) > MOST_KEPT
        if hosts > 1:
            self._fail(400, "there are two `Host` headers")
        if codings and codings != [b"chunked"]:
            self._fail(501, "the only supported `Transfer-Encoding` is `chunked`")
        self._begin_cycle()

    def on_body(self, body: bytes) -> None:
        if self._direct is not None:
            self._parts.append(body)
            return
        if self._is_stream:
            # A stream may go on as long as something arrives.
            self._timed = None
        super().on_body(body)

    def on_message_complete(self) -> None:
        question = self._direct
        if question is None:
            if self.parser.should_upgrade() and self._framing():
                # The parser assumes that there is no body, but it is still to come.
                return
            self._at = _At.ANSWER
            super().on_message_complete()
            return
        self._direct = None
        parts = self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._at = _At.ANSWER
        if self._is_first and len(self.tasks) - self.arriving.count < self.cap and not self.flow.write_paused:
            self._is_first = False
            self._settled = self._ask(question, body)
            if self._settled is None:
                return
        self._begin_cycle()
        super().on_body(body)
        super().on_message_complete()

    def shutdown(self) -> None:
        """Called when the service ends. A request that is being read is still answered."""
        if self._direct is not None:
            self._direct = None
            self._begin_cycle()
            super().on_body(b"".join(self._parts))
        super().shutdown()

    def _is_plain(self, question: Question) -> bool:
        """Whether a request is a question with a short body, and the one before it has been answered. A name that
        comes twice, and all that concerns the connection, is for others to understand."""
        self._found = headers = dict(self.headers)
        length, parser = headers.get(b"content-length", b""), self.parser
        cycle: Any = self.cycle
        return (
            headers.get(b"content-type") == b"application/json"
            and len(headers) == len(self.headers)
            and 0 < len(length) < _DIGITS
            and 0 < int(length) < question.thread_body
            and int(length) <= self._pipeline.max_body_bytes
            and headers.keys().isdisjoint(_UNUSUAL)
            and parser.get_method() == b"POST"
            and parser.should_keep_alive()
            and (b"connection" not in headers or parser.get_http_version() == "1.1")
            and (cycle is None or cycle.response_complete)
        )

    def _ask(self, question: Question, body: bytes) -> Any:
        """Answers the question, or returns the application that does."""
        began, now = self.turn.began(self.loop), monotonic()
        if self.backlog.refuses(now - began, now):
            return overloaded
        result = self._pipeline.directly(question, self._peer, self._found, body)
        if type(result) is not tuple:
            return result
        answer, identifier = result
        added = self.server_state.default_headers
        self.transport.write(self.heads.answer(added, self.scheme or "http", identifier, answer))
        self.server_state.total_requests += 1
        self._at = _At.IDLE
        return None

    def _begin_cycle(self) -> None:
        """Turns the part of a request that has been read into a request cycle of uvicorn."""
        url, read = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers.extend(read)
        self.expect_100_continue = any(name == b"expect" and value.lower() == b"100-continue" for name, value in read)
        if self._extensions is not None:
            self.scope["extensions"] = self._extensions
        super().on_headers_complete()

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
        if self._settled is not None:
            app, self._settled = self._settled, None
            super()._start_asgi_task(cycle, app)
            return
        if self.flow.write_paused:
            self._held = cycle, app
            return
        if cycle.scope["path"] != _ALWAYS:
            app = overloaded if self._is_full(len(self.tasks)) else self._in_turn(cycle, app)
        super()._start_asgi_task(cycle, app)

    def _is_full(self, others: int) -> bool:
        if others - self.arriving.count < self.cap:
            return False
        self.backlog.full(monotonic())
        return True

    def _in_turn(self, cycle: Any, app: Any) -> Any:
        """The application, unless the request has waited too long when its turn comes."""
        backlog, arrived, goes_on = self.backlog, monotonic(), self._is_stream or self._is_long

        def turn(scope: Scope, receive: Receive, send: Send) -> Any:
            now = monotonic()
            if backlog.refuses(now - arrived, now):
                return overloaded(scope, receive, send)
            if cycle.more_body and not goes_on:
                return self.arriving.then(app, lambda: self._is_full(len(self.tasks) - 1), scope, receive, send)
            return app(scope, receive, send)

        return turn

    def _framing(self) -> list[tuple[bytes, bytes]]:
        """The headers that give the length of the body, if there is one."""
        return [each for each in self.headers if each[0] in (b"content-length", b"transfer-encoding")]

    def _pass_over(self) -> None:
        """After an offer of another protocol the parser stops, so a new one reads on, starting at the body."""
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

    def _time(self) -> None:
        """Sets the time limit of the current state; there is none while an answer is being made."""
        self._timed = self._at
        if self._at is _At.HEADERS:
            self._deadline.move(self.header_seconds)
        elif self._at is _At.BODY:
            self._deadline.move(self.body_seconds)
        elif self._at is _At.IDLE:
            self._deadline.move(self.timeout_keep_alive)
        else:
            self._deadline.lift()

    def _late(self) -> None:
        cycle: Any = self.cycle
        if self._at is _At.IDLE:
            self.transport.close()
        elif cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.abort()
        elif not self.transport.is_closing():
            self._refuse(408, "the request took too long to arrive")

    def _fail(self, status: int, detail: str) -> None:
        self._refusal = (status, detail)
        raise _Refused(detail)

    def _refuse(self, status: int, detail: str) -> None:
        """Answers with the reason, and stops reading."""
        self.transport.write(refusal(status, detail, self.scheme or ""))
        self._deadline.end()
        self.transport.close()
