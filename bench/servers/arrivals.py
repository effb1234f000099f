"""Requests that come when they come, whether or not the last ones were answered: `python -m bench.servers.arrivals`.

Arrivals are random, at a rate. Each takes one of many connections, which were made before, so that a slow service does
not slow down what it is measured with. Where this process itself was late to send, `lag` says so. Prints a JSON object.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

# An arrival that finds all of them taken waits.
MOST = 256
# In seconds.
PATIENCE = 20.0


class Peer(asyncio.Protocol):
    """One connection; `asked` is when the request that is under way was sent."""

    def __init__(self, free: list[Peer], taken: list[tuple[float, int]]) -> None:
        self.free, self.taken = free, taken
        self.asked = 0.0
        self.data = b""
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, request: bytes, asked: float) -> None:
        self.asked, self.data = asked, b""
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= length:
            self.taken.append((perf_counter() - self.asked, int(self.data[9:12])))
            self.free.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.free:
            self.free.remove(self)


async def run(port: int, request: bytes, rate: float, seconds: float, seed: int) -> dict[str, Any]:
    chance, loop = random.Random(seed), asyncio.get_running_loop()
    free: list[Peer] = []
    taken: list[tuple[float, int]] = []
    opened: list[Peer] = []
    for _ in range(MOST):
        _, peer = await loop.create_connection(lambda: Peer(free, taken), "127.0.0.1", port)
        opened.append(peer)
        peer.send(request, perf_counter())
    # Once they are answered, the service has them.
    await _until(lambda: len(taken) == MOST)
    taken.clear()
    begun = perf_counter()
    due, sent = begun, 0
    lags: list[float] = []
    while due < begun + seconds and perf_counter() < begun + 2 * seconds:
        await asyncio.sleep(max(0.0, due - perf_counter()))
        # Where it cannot send as many, it ends all the same, and `sent` says so.
        while due <= perf_counter() < begun + 2 * seconds:
            if not free:
                await _until(lambda: bool(free))
            asked = perf_counter()
            free.pop().send(request, asked)
            lags.append(asked - due)
            sent += 1
            due += chance.expovariate(rate)
            # What was answered meanwhile is read at once, however late this process is.
            await asyncio.sleep(0)
    patience = perf_counter() + 10
    while len(taken) < sent and perf_counter() < patience:
        await asyncio.sleep(0.01)
    for peer in opened:
        peer.transport.close()
    answered = sorted(took for took, status in taken if status == 200)
    others = sorted({status for _, status in taken} - {200, 503})
    return {
        "sent": sent, "answered": len(answered), "refused": sum(status == 503 for _, status in taken),
        "others": others, "seconds": perf_counter() - begun, "connections": len(opened),
        "lag": sorted(lags)[int(len(lags) * 0.99)],
        "p50": answered[len(answered) // 2] if answered else None,
        "p99": answered[int(len(answered) * 0.99)] if answered else None,
    }  # fmt: skip


async def _until(holds: Callable[[], bool]) -> None:
    """Raises TimeoutError where it does not come true: connections are lost, or nothing is answered."""
    end = perf_counter() + PATIENCE
    while not holds():
        if perf_counter() > end:
            raise TimeoutError("connections are lost, or nothing is answered")
        await asyncio.sleep(0.0005)


def main() -> None:
    port, path, body, rate, seconds, seed = sys.argv[1:7]
    text = Path(body).read_bytes()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    )
    print(
        json.dumps(asyncio.run(run(int(port), f"{head}\r\n".encode() + text, float(rate), float(seconds), int(seed))))
    )


if __name__ == "__main__":
    main()
