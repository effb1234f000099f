"""What a connection may take, said over a socket: each bound has an answer, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from policyengine.engine import Engine
from policyengine.server.app import create_app
from policyengine.server.deadline import Deadline
from policyengine.server.listener import MAX_HEADER_BYTES, MAX_HEADERS, Listener
from policyengine.settings.model import Settings
from tests.server.serving import serving_at

POLICIES = "module m\nuse ai\npermit p: retrieve on Document\n"
BODY = b'{"subject":{"type":"User","id":"u"},"action":{"name":"retrieve"},"resource":{"type":"Document","id":"d"}}'
POST = b"POST /access/v1/evaluation HTTP/1.1\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    folder: Path = tmp_path_factory.mktemp("listener")
    (folder / "m.pol").write_text(POLICIES)
    with serving_at(folder, http=Listener) as found:
        yield found


def _say(address: tuple[str, int], *parts: bytes, answers: int = 1) -> bytes:
    """All that is answered until the service ends the connection, or so many answers have come."""
    with socket.create_connection(address, timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        while found.count(b"HTTP/1.1 ") < answers or not found.rstrip().endswith(b"}"):
            more = connection.recv(65_536)
            if not more:
                break
            found += more
    return found


def _status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def _asking(*more: bytes) -> bytes:
    return b"".join([POST, b"Host: localhost\r\n", *more, b"Content-Length: %d\r\n\r\n" % len(BODY), BODY])


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (_asking(), 200),
        (_asking(*(b"X-%d: 1\r\n" % n for n in range(MAX_HEADERS))), 431),
        (_asking(b"X-Long: " + b"x" * MAX_HEADER_BYTES + b"\r\n"), 431),
        (b"GET /" + b"x" * MAX_HEADER_BYTES + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (_asking(b"Host: localhost:1\r\n"), 400),
        (POST + b"Host: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (POST + b"Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), 200),
        (POST + b"Host: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"\x16\x03\x01 this is not HTTP\r\n\r\n", 400),
    ],
)
def test_each_bound_has_an_answer(address: tuple[str, int], request_: bytes, status: int) -> None:
    assert _status(_say(address, request_)) == status


def test_an_offer_of_http_2_is_passed_over(address: tuple[str, int]) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    answers = _say(address, _asking(offer), _asking(), answers=2)
    assert answers.count(b"HTTP/1.1 200") == 2
    assert answers.count(b'"decision":true') == 2


def test_what_takes_too_long_is_ended(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "header_seconds", 0.05)
    assert _status(_say(address, b"GET / HTTP/1.1\r\nHost:")) == 408
    monkeypatch.setattr(Listener, "header_seconds", 20.0)
    monkeypatch.setattr(Listener, "body_seconds", 0.05)
    assert _status(_say(address, _asking()[:-1])) == 408


def test_there_are_so_many_connections(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "most_connections", 0)
    assert _status(_say(address, _asking())) == 503
    monkeypatch.undo()
    assert _status(_say(address, _asking())) == 200


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 5)})
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def test_what_is_being_read_is_answered_when_the_service_ends() -> None:
    async def ended() -> Wire:
        app = create_app(Settings(policies=Path("."), log_level="error", insecure=True))
        app.slot.engine = engine = Engine.from_text(POLICIES)
        assert engine.decide(
            principal={"type": "User", "id": "u"}, action="retrieve", resource={"type": "Document", "id": "d"}
        )
        config = uvicorn.Config(app, log_config=None, http=Listener, lifespan="off", proxy_headers=False)
        config.load()
        state, wire = ServerState(), Wire()
        listener = Listener(config, state, {})
        listener.connection_made(wire)
        listener.data_received(_asking())
        assert wire.written.count(b"HTTP/1.1 200") == state.total_requests == 1
        listener.data_received(_asking()[:-10])
        listener.shutdown()
        assert not wire.is_closed
        listener.data_received(_asking()[-10:])
        while listener.tasks:
            await asyncio.sleep(0)
        listener.connection_lost(None)
        return wire

    wire = asyncio.run(ended())
    assert wire.is_closed
    assert wire.written.count(b"HTTP/1.1 200") == wire.written.count(b'"decision":true') == 2
    assert wire.written.count(b"connection: close") == 1


class Loop:
    """A clock, and the timers that were made."""

    def __init__(self) -> None:
        self.now, self.made = 0.0, 0
        self.timers: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, come: Callable[[], None]) -> Any:
        made = self.now + seconds, come
        self.timers.append(made)
        self.made += 1
        return type("Timer", (), {"cancel": lambda _: self.timers.remove(made)})()

    def until(self, end: float) -> None:
        while self.timers and min(self.timers)[0] <= end:
            due = min(self.timers)
            self.timers.remove(due)
            self.now = due[0]
            due[1]()
        self.now = end


def test_a_deadline_that_is_moved_comes_in_time_and_makes_few_timers() -> None:
    loop, late = Loop(), []  # type: ignore[var-annotated]
    deadline = Deadline(loop, lambda: late.append(loop.now))  # type: ignore[arg-type]
    deadline.move(15)
    for n in range(1000):
        loop.until(n / 10)
        deadline.move(5)
    assert (late, loop.made < 30) == ([], True)
    deadline.move(60)
    deadline.move(1)
    loop.until(200)
    assert late == [pytest.approx(99.9 + 1)]
    deadline.move(1)
    deadline.lift()
    loop.until(300)
    deadline.move(1)
    deadline.end()
    loop.until(400)
    assert (len(late), loop.timers) == (1, [])


HALF = POST + b"Host: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(BODY), BODY)


def test_who_sends_slowly_takes_no_place(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener, "cap", 1)
    slow = [socket.create_connection(address, timeout=20) for _ in range(3)]
    try:
        for number, each in enumerate(slow, 1):
            each.sendall(HALF)
            while Listener.arriving.total < number * len(BODY):
                time.sleep(0.01)
        assert Listener.arriving.count == len(slow)
        assert _status(_say(address, _asking())) == 200
        for each in slow:
            each.sendall(b"0\r\n\r\n")
            assert _status(each.recv(65_536)) == 200
    finally:
        for each in slow:
            each.close()
    assert (Listener.arriving.count, Listener.arriving.total) == (0, 0)


def test_what_is_not_all_there_has_a_bound_together(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Listener.arriving, "most", 10)
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(HALF)
        assert _status(connection.recv(65_536)) == 503
    assert _status(_say(address, _asking())) == 200
