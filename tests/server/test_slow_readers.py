"""A client that sends a stream and reads nothing of the answer takes no place for long."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from policyengine.server.listener import Listener
from policyengine.server.unread_answers import UnreadAnswers
from tests.server.serving import serving_at

RULES = 'module m use ai permit p: release on Output for User require r: release on Output redact(["email"])'
ASKED = {"subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": []}}}
CHUNK = json.dumps("It was the best of times. " * 2000)


def sent(event: str) -> bytes:
    """As a chunk of the body."""
    data = f"data: {event}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


def sent_or_cut(client: socket.socket, data: bytes) -> None:
    with suppress(OSError):
        client.sendall(data)


class Impatient(Listener):
    read_seconds = 0.2


class Narrow(Listener):
    cap = 1
    unread = UnreadAnswers()

    def connection_made(self, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


class Crowded(Narrow):
    cap = Listener.cap
    unread = UnreadAnswers(100_000)


def test_a_stream_that_nobody_reads_is_ended(tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(RULES)
    with serving_at(tmp_path, http=Impatient) as (host, port):
        with socket.create_connection((host, port), timeout=30) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"POST /v1/release HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/event-stream\r\n"
            client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
            client.sendall(sent(json.dumps(ASKED)))
            with pytest.raises(ConnectionError):
                client.sendall(sent(CHUNK) * 600)
        answer = httpx.post(f"http://{host}:{port}/v1/release", json={**ASKED, "text": "x"}, trust_env=False)
        assert answer.json()["released"] is True


def test_who_reads_no_answer_takes_no_place_for_the_next(tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(RULES)
    plain = {**ASKED, "action": {"name": "retrieve"}, "resource": {"type": "Document", "id": "d"}}
    items = [{"resource": plain["resource"]}] * 9_000
    body = json.dumps({**ASKED, "action": plain["action"], "evaluations": items}).encode()
    with serving_at(tmp_path, http=Narrow) as (host, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, port))
        head = f"POST /access/v1/evaluations HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        threading.Thread(target=sent_or_cut, args=(client, request * 2), daemon=True).start()
        while not Narrow.unread.total:
            time.sleep(0.01)
        for _ in range(10):
            url = f"http://{host}:{port}/access/v1/evaluation"
            assert httpx.post(url, json=plain, trust_env=False, timeout=20).status_code == 200
            time.sleep(0.02)


def test_answers_that_nobody_reads_have_a_bound_together(tmp_path: Path) -> None:
    (tmp_path / "m.pol").write_text(RULES)
    items = [{"resource": {"type": "Document", "id": "d"}}] * 9_000
    body = json.dumps({**ASKED, "action": {"name": "retrieve"}, "evaluations": items}).encode()
    with serving_at(tmp_path, http=Crowded) as (host, port), socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(30)
        client.connect((host, port))
        head = f"POST /access/v1/evaluations HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        with suppress(ConnectionError):
            while part := client.recv(65_536):
                received += part
        announced = int(received.split(b"content-length: ")[1].split(b"\r\n")[0])
        assert len(received) < announced
        assert Crowded.unread.total == 0


def test_those_that_have_waited_for_longest_are_cut_off() -> None:
    class Peer:
        ended = False

        def __init__(self, size: int) -> None:
            self.size = size

        def get_write_buffer_size(self) -> int:
            return self.size

        def abort(self) -> None:
            self.ended = True

    unread, peers = UnreadAnswers(100), [Peer(40) for _ in range(5)]
    for peer in peers[:2]:
        unread.waits(peer)
    unread.over(peers[0])
    for peer in peers[2:]:
        unread.waits(peer)
    assert ([peer.ended for peer in peers], unread.total) == ([False, True, True, False, False], 80)
