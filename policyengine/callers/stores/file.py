"""API keys in a JSON file, and their usage in another beside it.

Whoever can write the file can let anybody in, so it must belong to the user of this process (or root) and nobody else
may write to it. It is replaced as a whole: whoever reads meanwhile gets all of the old or all of the new. A file that
is not there is an error too; `create_file` makes one.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from policyengine.callers.keys import Key, KeyUse, as_json, from_json
from policyengine.callers.stores.store import Keys, KeyStoreError

MOST_BYTES = 64 << 20
_OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH


class FileStore:
    """The keys in a file. `path` is that file; `<path>.usage` and `<path>.lock` are beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._usage = path.with_name(path.name + ".usage")

    def mark(self) -> str:
        with _errors(self._path):
            status = os.stat(self._path)
        return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"

    def keys(self) -> Keys:
        listed = _read(self._path).get("keys")
        if not isinstance(listed, list):
            raise KeyStoreError(f"{self._path}: not a file of keys")
        try:
            by_id = {key.id: key for key in map(from_json, listed)}
        except (ValueError, TypeError) as error:
            raise KeyStoreError(f"{self._path}: a key in it cannot be read: {error}") from None
        if len(by_id) != len(listed):
            raise KeyStoreError(f"{self._path}: two keys have the same id")
        return by_id

    def change(self, change: Callable[[Keys], Key]) -> Key:
        with locked(self._path):
            known = self.keys()
            changed = change(known)
            _write(self._path, {"keys": [as_json(key) for key in {**known, changed.id: changed}.values()]})
        return changed

    def add_uses(self, uses: Mapping[str, KeyUse]) -> None:
        with locked(self._path):
            known = dict(self.uses())
            for id_, use in uses.items():
                known[id_] = known[id_] + use if id_ in known else use
            _write(self._usage, {id_: [use.count, use.last, use.address] for id_, use in known.items()})

    def uses(self) -> Mapping[str, KeyUse]:
        if not self._usage.exists():
            return {}
        try:
            return {id_: KeyUse(int(n), float(last), str(at)) for id_, (n, last, at) in _read(self._usage).items()}
        except (ValueError, TypeError):
            raise KeyStoreError(f"{self._usage}: not the usage of keys") from None

    def close(self) -> None:
        pass


def create_file(path: Path) -> None:
    """Makes a file without keys, and its directory, if it is not there. Raises StoreError."""
    with _errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _write(path, {"keys": []})


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes the file meanwhile: whoever does locks `<path>.lock`. Raises StoreError."""
    lock = path.with_name(path.name + ".lock")
    with _errors(lock):
        opened = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield
    finally:
        os.close(opened)


def read_private(path: Path) -> bytes:
    """The bytes of a regular file that nobody but its owner, this user or root, can have written. Raises StoreError."""
    with _errors(path):
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            os.close(opened)
            raise KeyStoreError(f"{path}: not a file")
        with open(opened, "rb") as file:
            if status.st_uid not in (0, os.geteuid()) or status.st_mode & _OTHERS_CAN_WRITE:
                raise KeyStoreError(f"{path}: others may write to it, so it is not used")
            if status.st_size > MOST_BYTES:
                raise KeyStoreError(f"{path}: larger than {MOST_BYTES} bytes")
            return file.read()


def write_private(path: Path, data: bytes) -> None:
    """Replaces a file by one that only this user can read. Raises StoreError."""
    draft = path.with_name(f".{path.name}.{token_hex(8)}")
    with _errors(path):
        try:
            opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(opened, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(opened)
            os.replace(draft, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(read_private(path))
    except (ValueError, RecursionError):
        raise KeyStoreError(f"{path}: not JSON") from None
    if not isinstance(document, dict):
        raise KeyStoreError(f"{path}: not a JSON object")
    return document


def _write(path: Path, value: dict[str, Any]) -> None:
    write_private(path, json.dumps(value, indent=1).encode() + b"\n")


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyStoreError(f"{path}: {(error.strerror or 'cannot be used').lower()}") from None
