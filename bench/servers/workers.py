"""Which worker process has the other end of a connection, as Linux says it: no answer of a service tells."""

from __future__ import annotations

import http.client
import os
from pathlib import Path

ESTABLISHED = "01"


def children(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have, and so on."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            direct = [int(each) for each in (task / "children").read_text().split()]
        except OSError:
            continue
        found += [below for each in direct for below in (each, *children(each))]
    return found


def worker_of(connection: http.client.HTTPConnection, workers: list[int]) -> int | None:
    """The process of these that has accepted a connection from this machine; None if none has yet."""
    local, remote = connection.sock.getsockname()[1], connection.sock.getpeername()[1]
    inode = _inode(remote, local)
    return next((pid for pid in workers if inode is not None and inode in _sockets(pid)), None)


def _inode(port: int, peer: int) -> str | None:
    """The socket that listens at `port` and talks to `peer`."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        ends = [int(words[at].rpartition(":")[2], 16) for at in (1, 2)]
        if ends == [port, peer] and words[3] == ESTABLISHED:
            return words[9]
    return None


def _sockets(pid: int) -> set[str]:
    found = set()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(each)
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
