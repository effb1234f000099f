"""Peers from the outside: subjects like any other."""

from __future__ import annotations

import json
import select
import subprocess
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from bench.measure import Failed, Pass
from bench.options import Options
from bench.peers import PEERS, Peer
from bench.peers.environment import ROOT, NotInstalled, python_of
from bench.results import Absent

# Seconds until a peer counts as one that cannot do it.
PATIENCE = 180.0


class PeerError(Failed):
    """What a peer could not do."""


class Process:
    """One peer with one workload. A subject once `prepare` has returned."""

    def __init__(self, peer: Peer, absent: Callable[[str, str], None]) -> None:
        self.name = peer.name
        self.version = ""
        self._absent = absent
        self._process = subprocess.Popen(
            [python_of(peer), "-m", "bench.peers.runner", peer.module, peer.distribution],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )

    def prepare(self, workload: Mapping[str, Any], expected: Sequence[bool]) -> None:
        """Raises PeerError unless the peer decides as expected."""
        answer = self._ask(workload)
        self.version = answer["version"]
        for number, found in enumerate(answer["decisions"]):
            if found is not expected[number]:
                raise PeerError(f"decides request {number} as {found}, expected {expected[number]}")

    def run(self) -> Pass:
        try:
            return Pass(**self._ask("pass"))
        except PeerError as error:
            self._absent(self.name, str(error))
            raise

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _ask(self, question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError("its process ended") from error
        ready, _, _ = select.select([self._process.stdout], [], [], PATIENCE)
        if not ready:
            raise PeerError(f"no answer within {PATIENCE:.0f} s")
        line = self._process.stdout.readline()
        if not line:
            raise PeerError("its process ended")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer


class Peers:
    """All peers for one case; those that cannot take part end up in `absent`, with the reason."""

    def __init__(self, workload: str, case: str, options: Options, only: Sequence[str] = ()) -> None:
        self._workload = workload
        self._case = case
        self._options = options
        self._wanted = [peer for peer in PEERS if not only or peer.name in only]
        self._processes: list[Process] = []
        self.absent: list[Absent] = []
        self.versions: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.close()

    def start(self, workload: Mapping[str, Any], expected: Sequence[bool]) -> list[Process]:
        """Those that decide the workload as expected, ready to be timed."""
        if not self._options.peers:
            return []
        started = []
        for peer in self._wanted:
            try:
                process = Process(peer, self._missing)
                self._processes.append(process)
                process.prepare({**workload, "seconds": self._options.seconds}, expected)
                started.append(process)
                self.versions[process.name] = process.version
            except (NotInstalled, PeerError) as error:
                self._missing(peer.name, str(error))
        return started

    def _missing(self, peer: str, why: str) -> None:
        self.absent.append(Absent(self._workload, self._case, peer, why))
