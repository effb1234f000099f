"""Servers as processes on loopback, each on the same one core, and asked from another."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.peers.environment import ROOT
from bench.servers import Server

PATIENCE = 30.0


def pinned(core: int) -> list[str]:
    """What to put before a command so that it runs on one core: the first or the last (-1) that there is."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(cores[core])]


class Running:
    """A started server, on one core; on all of them where `core` is None."""

    def __init__(self, server: Server, home: Path, core: int | None = 0) -> None:
        self.server = server
        self.port = _free_port()
        self._log = (home / f"{server.name}.log").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*(pinned(core) if core is not None else []), *server.command(home, self.port)],
            cwd=ROOT,
            stdout=self._log,
            stderr=self._log,
            env={**os.environ, "GOMAXPROCS": "1", **server.env},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def wait(self) -> None:
        """Until it is ready. Raises RuntimeError, with the last line of its log, when it will not be."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("GET", self.server.ready)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        raise RuntimeError(f"does not start: {lines[-1][:200] if lines else 'no word'}")

    @property
    def cpu(self) -> float | None:
        """The seconds of a core that the process has taken; None where nothing tells."""
        try:
            found = Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
            return sum(int(each.read_text(encoding="ascii").split()[0]) for each in found) / 1e9 or None
        except (OSError, ValueError, IndexError):
            return None

    def post(self, path: str, bodies: Iterable[Any], authorization: str = "") -> list[Any]:
        """The answers, over one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        answers = []
        for body in bodies:
            headers = {
                "Content-Type": "application/json",
                **({"Authorization": authorization} if authorization else {}),
            }
            connection.request("POST", path, json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: {response.status} {text[:200]!r}")
            answers.append(json.loads(text))
        connection.close()
        return answers


def _free_port() -> int:
    """A port that is free, as is the one after it."""
    while True:
        with socket.socket() as one, socket.socket() as next_:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                next_.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
