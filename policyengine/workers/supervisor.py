"""Starts worker processes, and replaces those that have ended, until it is told to stop.

A replacement that cannot start is tried again, at longer and longer intervals, while the others go on. Once a worker
has answered, only a signal ends the service. If no worker ever answers, the service ends with a status that says so.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from socket import socket
from time import monotonic

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from policyengine.workers.hub import Hub
from policyengine.workers.protocol import SUPERVISOR

# How long a replacement that could not start is not tried again, in seconds: at first, and at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# The longest path of a Unix socket that every system takes.
_LONGEST_PATH = 100

# The id of a process that ended, and its status.
Told = Callable[[int | None, int | None], None]


class Supervisor(Multiprocess):
    """The supervisor of uvicorn, with replacements that never end the service."""

    def __init__(self, config: Config, sockets: list[socket], hub: Hub, told: Told) -> None:
        super().__init__(config, sockets)
        self._told = told
        self.hub = hub
        self.status = 0
        self._pause = FIRST_PAUSE
        self._again: dict[int, float] = {}

    def keep_subprocess_alive(self) -> None:
        for at, process in enumerate(self.processes):
            if self.should_exit.is_set():
                return
            if at in self._again:
                if monotonic() >= self._again[at]:
                    del self._again[at]
                    self._replace(at)
            elif not self._is_alive(process):
                self._ended(at, process)

    def _is_alive(self, process: Process) -> bool:
        """One that has not begun may take its time: on a busy machine its imports alone take long."""
        if not process.process.is_alive():
            return False
        return process.pid not in self.hub.begun or process.ping(self.config.timeout_worker_healthcheck)

    def _ended(self, at: int, process: Process) -> None:
        process.kill()
        process.join()
        has_answered = self.hub.current is not None
        self._told(process.pid, process.exitcode)
        if process.exitcode != STARTUP_FAILURE:
            self._pause = FIRST_PAUSE
            self._replace(at)
        elif has_answered:
            self._again[at] = monotonic() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
        else:
            self.status = STARTUP_FAILURE
            self.should_exit.set()

    def _replace(self, at: int) -> None:
        self.processes[at] = Process(self.config, self.sockets)
        self.processes[at].start()


def supervise(config: Config, told: Told) -> int:
    """Runs the workers of a service until a signal ends it. `told` hears of each that ended before. The status to end
    with."""
    directory = _directory()
    hub = Hub(directory)
    try:
        sockets = [config.bind_socket()]
        hub.start()
        os.environ[SUPERVISOR] = str(hub.path)
        supervisor = Supervisor(config, sockets, hub, told)
        hub.wanted = lambda: supervisor.processes_num
        supervisor.run()
        return supervisor.status
    finally:
        hub.stop()
        os.environ.pop(SUPERVISOR, None)
        shutil.rmtree(directory, ignore_errors=True)


def _directory() -> Path:
    """For this user alone."""
    made = tempfile.mkdtemp(prefix="policyengine-")
    if len(made) > _LONGEST_PATH - len("/hub"):
        os.rmdir(made)
        made = tempfile.mkdtemp(prefix="policyengine-", dir="/tmp")
    return Path(made)
