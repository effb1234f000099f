"""Server-sent events in, server-sent events out: a text that is released while it streams.

The request's body is a stream of events. The first is the request, as `POST /v1/release` has it without the text. Each
one after it is a chunk: a JSON object as model interfaces stream them, or a JSON text; `[DONE]` ends them, and is
passed on. The answer's events are the chunks that may go. Its last one is `released`, or `not_released`,
after which nothing comes.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from starlette.types import Receive, Send

from policyengine.authzen import read
from policyengine.authzen.errors import Malformed
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.release.released import NotReleased, Released
from policyengine.server import security_headers
from policyengine.server.bind import Binding
from policyengine.server.body import Disconnected, check_values, too_large
from policyengine.server.errors import RequestError, log
from policyengine.server.record import Decided
from policyengine.server.release import asked_to_release, released_value

DONE = "[DONE]"
# The most bytes of a chunk, so that checking one delays no other request.
LONGEST_CHUNK = 65_536
# A longer text is checked in a thread.
SHORT_CHUNK = 256
# Does something in a thread.
Look = Callable[[Callable[[], Any]], Awaitable[Any]]


class TooLong(Exception):
    """A stream that takes longer than allowed."""


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    name: str
    data: str


async def events(receive: Receive, limit: int) -> AsyncIterator[ServerSentEvent]:
    """The events of a body: the first has at most `limit` bytes, each other `LONGEST_CHUNK`. Raises RequestError,
    Malformed and Disconnected."""
    held = bytearray()
    name = ""
    data: list[str] = []
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body = message.get("body", b"")
        more = message.get("more_body", False)
        held += body if more else body + b"\n\n"
        if more and b"\n" not in body:
            # A line that arrives byte by byte is searched only once.
            if len(held) + size > limit:
                raise too_large(limit)
            continue
        *lines, rest = held.replace(b"\r\n", b"\n").split(b"\n")
        held = bytearray(rest)
        if len(held) + size > limit:
            raise too_large(limit)
        for line in lines:
            if not line:
                if data:
                    yield ServerSentEvent(name, "\n".join(data))
                    limit = min(limit, LONGEST_CHUNK)
                name, data, size = "", [], 0
                continue
            field, _, value = _decoded(line).partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
                size += len(value) + 1
                if size > limit:
                    raise too_large(limit)


def _decoded(line: bytes | bytearray) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise Malformed("the events are not UTF-8") from None


async def release_events(
    engine: Engine,
    caller: Caller,
    receive: Receive,
    send: Send,
    request_id: bytes,
    scheme: str,
    look: Look,
    *,
    binding: Binding,
    limit: int,
    seconds: float = 600.0,
) -> Sequence[Decided]:
    """Answers, and returns the decision. `look` runs the checks of texts. Raises Malformed and RequestError as long as
    nothing was sent, and Disconnected."""
    until = monotonic() + seconds

    async def in_time() -> Any:
        try:
            return await asyncio.wait_for(receive(), max(0.0, until - monotonic()))
        except TimeoutError:
            raise TooLong from None

    coming = events(in_time, limit)
    why = f"a stream may take at most {seconds:g} seconds"
    try:
        first = await anext(coming, None)
    except TooLong:
        raise RequestError(408, why) from None
    if first is None:
        raise Malformed("the first event must be the request")
    body = first.data.encode()
    check_values(body)
    asked = asked_to_release(engine, read.json_object(body), caller, binding)
    named: dict[str, str] = {}
    done = False
    size = 0

    async def chunks() -> AsyncIterator[Any]:
        nonlocal done, size
        async for event in coming:
            size = len(event.data)
            if event.data == DONE:
                done = True
                continue
            chunk = _chunk(event.data)
            if isinstance(chunk, dict) and event.name:
                named[str(chunk.get("type", ""))] = event.name
            yield chunk

    async def elsewhere(waits: bool, work: Callable[[], Any]) -> Any:
        if waits or size > SHORT_CHUNK:
            return await look(work)
        # Many events that arrive together take many turns.
        await asyncio.sleep(0)
        return work()

    stream = engine.release_stream(chunks(), **asked)
    answer = _Answer(send, request_id, scheme)
    try:
        async for chunk in stream.looked_at(elsewhere):
            name = named.get(str(chunk.get("type", "")), "") if isinstance(chunk, dict) else ""
            await answer.event(name, json.dumps(chunk, separators=(",", ":"), ensure_ascii=True))
        if done:
            await answer.event("", DONE)
        released = stream.released
        assert released is not None
        await answer.end("released", _account(released))
        return _decided(asked, released)
    except NotReleased as error:
        name = "cut" if error.cut else "not_released"
        await answer.end(name, _account(error.released))
        return _decided(asked, error.released)
    except Disconnected:
        raise
    except TooLong:
        # It occupied a place that others wait for.
        if not answer.begun:
            raise RequestError(408, why) from None
        await answer.end("not_released", json.dumps({"released": False, "context": {"summary": why}}))
        return ()
    except Exception as error:
        if not answer.begun:
            raise
        # Nothing more may go, and the client can tell that this is not the end of the text.
        log.warning("stream_ended", request_id=request_id.decode("ascii"), error=type(error).__name__)
        await answer.end("not_released", json.dumps({"released": False}))
        return ()
    finally:
        await stream.aclose()


def _decided(asked: dict[str, Any], released: Released) -> Sequence[Decided]:
    resource = {"type": "Output", "id": asked["output"].get("id", "output")}
    request: Any = {
        "principal": asked["principal"], "action": "release", "resource": resource, "context": asked["context"]
    }  # fmt: skip
    return ((request, released.decision),)


def _account(released: Released) -> str:
    """The last event: everything except the text, which has been sent, and in `found` the number of findings of each
    kind, as in the headers of an answer without events."""
    answer = {name: part for name, part in released_value(released, "text").items() if name != "text"}
    answer["found"] = dict(Counter(finding.kind for finding in released.findings))
    return json.dumps(answer, default=list)


def _chunk(data: str) -> Any:
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError):
        raise Malformed("an event's data is a JSON text or object") from None
    if not isinstance(chunk, str | dict):
        raise Malformed("an event's data is a JSON text or object")
    return chunk


class _Answer:
    """The events of an answer. It begins with the first event, so that an earlier refusal has a status of its own."""

    def __init__(self, send: Send, request_id: bytes, scheme: str) -> None:
        self._send = send
        self._headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (b"x-request-id", request_id),
            *(header for header in security_headers.headers(scheme) if header[0] != b"cache-control"),
        ]
        self.begun = False

    async def event(self, name: str, data: str) -> None:
        await self._write(self._encoded(name, data), True)

    async def end(self, name: str, data: str) -> None:
        await self._write(self._encoded(name, data), False)

    def _encoded(self, name: str, data: str) -> bytes:
        return (f"event: {name}\n" if name else "").encode() + f"data: {data}\n\n".encode()

    async def _write(self, body: bytes, more: bool) -> None:
        if not self.begun:
            self.begun = True
            await self._send({"type": "http.response.start", "status": 200, "headers": self._headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})
