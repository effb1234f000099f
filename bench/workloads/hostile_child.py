"""A hostile client: `python -m bench.workloads.hostile_child PORT KIND` sends one kind of request until it is ended."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from collections import deque
from contextlib import suppress
from select import select

from bench.workloads.hostile_requests import ENDLESS, KINDS, UNREAD

# Connections of a client that reads nothing.
OPEN = 100
# Streams that a client goes on with, and how much of a text it sends at a time.
STREAMS, CHUNK = 20, "write to ann.b@mail.example or pay with 4111 1111 1111 1111 " * 20


def main(port: str, kind: str) -> None:
    path, body = KINDS[kind]()
    if kind == UNREAD:
        unread(int(port), path, body)
    if kind == ENDLESS:
        endless(int(port), path, body)
    is_told = False
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        with suppress(OSError, http.client.HTTPException):
            while True:
                if not is_told:
                    print("ready", flush=True)
                    is_told = True
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                print(answer.status, file=sys.stderr)


def unread(port: int, path: str, body: bytes) -> None:
    """Asks over one connection after the other, and reads no answer."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sent = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    connections = deque[socket.socket](maxlen=OPEN)
    print("ready", flush=True)
    while True:
        connection = socket.socket()
        connection.settimeout(20)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with suppress(OSError):
            connection.connect(("127.0.0.1", port))
            connection.sendall(sent)
        connections.append(connection)


def endless(port: int, path: str, body: bytes) -> None:
    """Sends texts on as many streams as it can, for as long as the service reads them."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/event-stream\r\n"
    connections = []
    for _ in range(STREAMS):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + _event(body))
        connection.setblocking(False)
        connections.append(connection)
    print("ready", flush=True)
    chunk = _event(json.dumps(CHUNK).encode())
    rest = dict.fromkeys(connections, chunk)
    while rest:
        reading, writing, _ = select(list(rest), list(rest), [], 1)
        for connection in reading:
            with suppress(OSError):
                if not connection.recv(65_536):
                    del rest[connection]
        for connection in writing:
            if connection in rest:
                with suppress(OSError):
                    rest[connection] = rest[connection][connection.send(rest[connection]) :] or chunk


def _event(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n" % len(event) + event + b"\r\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
