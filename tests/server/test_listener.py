"""What a connection may take, said over a socket: each bound has an answer, and others are served meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from policyengine.server.listener import MAX_HEADER_BYTES, MAX_HEADERS, Listener
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
        (b"\x16\x03\x01 this is no HTTP\r\n\r\n", 400),
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
