"""The process behind `warm.py`: `python -m tests.support.warm_server SOCKET` runs each command in a fork of itself."""

from __future__ import annotations

import json
import os
import runpy
import socket
import socketserver
import sys
from functools import cache
from typing import TextIO

import mcp.server.mcpserver  # noqa: F401 - what the scripts are made with
import typer.main

import policyengine.mcp.serving  # noqa: F401 - commands import it when they need it, which some of them do
from policyengine.cli import app


class _Forks(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    request_queue_size = 64
    max_children = 64
    starter = os.getppid()

    def service_actions(self) -> None:
        super().service_actions()
        if os.getppid() != self.starter:
            sys.exit()


class _Command(socketserver.BaseRequestHandler):
    """Runs in the fork: becomes the process that was asked for."""

    def handle(self) -> None:
        _, streams, _, _ = socket.recv_fds(self.request, 1, 3)
        words, directory, environment = json.loads(b"".join(iter(lambda: self.request.recv(1 << 16), b"")))
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin, sys.stdout, sys.stderr = map(_opened, (sys.stdin, sys.stdout, sys.stderr))
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = words
        self.request.sendall(bytes([_status()]))


def _opened(stream: TextIO) -> TextIO:
    """The same stream as Python opens it when it starts: the one there is was made for another pipe or file."""
    number, mode = stream.fileno(), stream.mode
    lines = stream is sys.stderr or os.isatty(number)
    settings = {"encoding": stream.encoding, "errors": stream.errors, "closefd": False}
    return open(number, mode, buffering=1 if lines and mode == "w" else -1, **settings)


def _status() -> int:
    try:
        if sys.argv[0] == "policyengine":
            app()
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
            return 0
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - as Python does when nobody catches it
        sys.excepthook(*sys.exc_info())
        return 1


if __name__ == "__main__":
    # The command line is put together here, too, with all of its commands: each fork has it as it is.
    typer.main.get_command = cache(typer.main.get_command)
    list(typer.main.get_command(app).commands.values())
    with _Forks(sys.argv[1], _Command) as server:
        os.write(1, b"ready\n")
        server.serve_forever()
