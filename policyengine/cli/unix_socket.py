"""A Unix socket to listen on: it has its permissions from the first moment, and is removed at the end."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from policyengine.cli.console import fail


@contextmanager
def unix_socket(path: Path, mode: int) -> Iterator[int]:
    """The descriptor of a socket at the path. A socket that nobody listens at any more is replaced; one that is in use,
    or a file that is not a socket, ends the command."""
    _make_way(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777 & ~mode)
    try:
        listening.bind(str(path))
    except OSError as error:
        fail(f"--uds: cannot listen at {path}: {(error.strerror or str(error)).lower()}")
    finally:
        os.umask(before)
    made = os.stat(path).st_ino
    # Workers inherit it.
    os.set_inheritable(listening.fileno(), True)
    with _ending(lambda: _remove(path, made)):
        try:
            yield listening.fileno()
        finally:
            listening.close()
            _remove(path, made)


def _remove(path: Path, made: int) -> None:
    with suppress(OSError):
        # If it belongs to another process by now, it is left alone.
        if os.stat(path).st_ino == made:
            os.unlink(path)


@contextmanager
def _ending(last: Callable[[], None]) -> Iterator[None]:
    """Also does this when SIGTERM ends the process: one that has served raises it again."""

    def ended(number: int, _: object) -> None:
        last()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _make_way(path: Path) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        fail(f"--uds: there is a file at {path}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            os.unlink(path)
            return
    fail(f"--uds: another process already listens at {path}")
