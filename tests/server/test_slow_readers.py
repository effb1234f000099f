"""A client that sends a stream and reads nothing of the answer takes no place for long."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import httpx
import pytest

from policyengine.server.listener import Listener
from tests.server.serving import serving_at

RULES = 'module m use ai permit p: release on Output for User require r: release on Output redact(["email"])'
ASKED = {"subject": {"type": "User", "id": "ann", "properties": {"tenant": "acme", "roles": []}}}
CHUNK = json.dumps("It was the best of times. " * 2000)


def sent(event: str) -> bytes:
    """As a chunk of the body."""
    data = f"data: {event}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


class Impatient(Listener):
    read_seconds = 0.2


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
