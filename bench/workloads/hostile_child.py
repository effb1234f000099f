"""A hostile client: `python -m bench.workloads.hostile_child PORT KIND` sends one kind of request until it is ended."""

from __future__ import annotations

import http.client
import sys
from contextlib import suppress

from bench.workloads.hostile_requests import KINDS


def main(port: str, kind: str) -> None:
    path, body = KINDS[kind]()
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


if __name__ == "__main__":
    main(*sys.argv[1:])
