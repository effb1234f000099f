"""A hostile client: `python -m bench.workloads.hostile_child PORT KIND` sends one kind of request until it is ended."""

from __future__ import annotations

import http.client
import socket
import sys
from collections import deque
from contextlib import suppress

from bench.workloads.hostile_requests import KINDS, UNREAD

# Connections of a client that reads nothing.
OPEN = 100


def main(port: str, kind: str) -> None:
    path, body = KINDS[kind]()
    if kind == UNREAD:
        unread(int(port), path, body)
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


if __name__ == "__main__":
    main(*sys.argv[1:])
