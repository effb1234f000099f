"""A real `policyengine serve` process on a free port, for tests that speak HTTP."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.paths import POLICYENGINE, ROOT

START_TIMEOUT = 60.0
STOP_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers, its process, and the file that collects its output."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def running(
    policies: Path,
    *options: str,
    entities: Path | None = None,
    env: Mapping[str, str] | None = None,
    insecure: bool = True,
) -> Iterator[Server]:
    """Serve `policies` until the block ends.

    `entities` defaults to `entities.json` beside the policies, when there is one. `options` are further
    command line words, `env` further environment variables. Raises RuntimeError, with the server's output,
    if it is not ready within a minute. With `insecure`, anybody on this machine may ask.
    """
    if entities is None and (policies / "entities.json").exists():
        entities = policies / "entities.json"
    port = free_port()
    command = [str(POLICYENGINE), "serve", str(policies), "--port", str(port), *options]
    if insecure:
        command.append("--insecure")
    if entities is not None:
        command += ["--entities", str(entities)]
    with tempfile.TemporaryDirectory(prefix="policyengine-server-") as directory:
        log = Path(directory) / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT
            )
        server = Server(f"http://127.0.0.1:{port}", process, log)
        try:
            _wait_until_ready(server)
            yield server
        finally:
            _stop(process)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise RuntimeError(f"the server ended with {server.process.returncode}:\n{_tail(server.log)}")
        try:
            if httpx.get(f"{server.url}/healthz", timeout=2.0, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the server was not ready in {START_TIMEOUT:.0f} s:\n{_tail(server.log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-4000:]
