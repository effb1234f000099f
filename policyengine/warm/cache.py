"""Bytes kept on disk from one process to the next, each under a key.

The cache determines who gets access to what, so it must be as hard to change as the policies. It lives in a directory
that belongs to the user of this process and that nobody else can write to; anything else in its place is not read.
Bytes are returned exactly as they were stored, or not at all. No failure is an error: what cannot be read counts as
missing, and what cannot be written is made again the next time.
"""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from secrets import token_hex

import platformdirs

# Not structlog, which prints unless it is configured: this must not show in a command's output.
log = logging.getLogger(__name__)

# The environment variable that names the directory; empty for none.
SETTING = "POLICYENGINE_CACHE_DIR"
# The most bytes in the directory; beyond that the oldest files are removed.
MOST_BYTES = 256 << 20
# The most bytes in one file; larger results are not kept.
MOST_IN_FILE = 64 << 20
_SUFFIX = ".policyengine"
_DIGEST = 32
_OTHERS_CAN_WRITE = stat.S_IWGRP | stat.S_IWOTH
# What the bytes depend on besides the texts: the engine's own code from text to typed policies, and these libraries.
_ROOMS = ("diagnostics", "model", "syntax", "schema", "ir", "check", "warm")
_LIBRARIES = ("lark", "google-re2", "msgspec")


class Cache:
    """Bytes by key in one directory. Made by `open_cache`; safe from any thread and any number of processes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, key: bytes) -> bytes | None:
        """The bytes that were put under the key, if they are there undamaged. Never raises."""
        data = None
        with self._opened() as opened:
            data = _read(_name(key), opened) if opened is not None else None
        if data is None:
            return None
        digest, body = data[:_DIGEST], data[_DIGEST:]
        if digest != _digest(key, body):
            log.debug("not what was kept: %s", self._directory / _name(key))
            return None
        return body

    def put(self, key: bytes, data: bytes) -> None:
        """Keeps the bytes. Never raises; concurrent readers get all of the old or all of the new."""
        if len(data) > MOST_IN_FILE:
            return
        with self._opened() as opened:
            if opened is not None:
                _write(_name(key), _digest(key, data) + data, opened)

    def prune(self, most: int = MOST_BYTES) -> None:
        """Removes the oldest files until no more than `most` bytes are left."""
        with self._opened() as opened:
            if opened is None:
                return
            files = []
            for entry in os.scandir(opened):
                if entry.name.endswith(_SUFFIX):
                    with suppress(OSError):
                        status = os.stat(entry.name, dir_fd=opened, follow_symlinks=False)
                        files.append((status.st_mtime_ns, status.st_size, entry.name))
            left = sum(size for _, size, _ in files)
            for _, size, name in sorted(files):
                if left <= most:
                    return
                with suppress(OSError):
                    os.unlink(name, dir_fd=opened)
                left -= size

    @contextmanager
    def _opened(self) -> Iterator[int | None]:
        """The directory, held open so that it cannot be replaced; None if it is not to be trusted."""
        try:
            opened = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            log.debug("cannot open %s: %s", self._directory, error.strerror)
            yield None
            return
        try:
            trusted = _is_ours(os.fstat(opened))
            if not trusted:
                log.debug("not used, as others may write to it: %s", self._directory)
            yield opened if trusted else None
        except OSError as error:
            log.debug("cannot use %s: %s", self._directory, error.strerror)
        finally:
            os.close(opened)


def open_cache(directory: Path | None = None) -> Cache | None:
    """The cache in a directory, which is created if it does not exist: by default the one that POLICYENGINE_CACHE_DIR
    names, or one of the user's own. None if there should be none, or if it cannot be determined who else may write to
    it."""
    if not hasattr(os, "geteuid"):
        return None
    if directory is None:
        setting = os.environ.get(SETTING)
        if setting == "":
            return None
        directory = Path(setting) if setting is not None else platformdirs.user_cache_path("policyengine") / "modules"
    try:
        directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        log.debug("cannot make %s: %s", directory, error.strerror)
        return None
    return Cache(directory)


@cache
def engine_digest() -> bytes | None:
    """Represents the code that turns texts into typed policies: this engine's own, with its grammar and built-in
    schema, its libraries' and Python's. None if that code cannot be read."""
    here = Path(__file__).parents[1]
    files = [path for room in _ROOMS for path in sorted((here / room).rglob("*")) if path.suffix in (".py", ".pol")]
    grammar = [here / "syntax" / "policy.lark", here.parent / "grammar" / "policy.lark"]
    digest = sha256(sys.version.encode())
    try:
        for library in _LIBRARIES:
            digest.update(f"{library} {version(library)}\n".encode())
        for path in (*files, next(path for path in grammar if path.exists())):
            digest.update(sha256(path.read_bytes()).digest())
    except (OSError, PackageNotFoundError, StopIteration):
        return None
    return digest.digest() if files else None


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_CAN_WRITE


def _name(key: bytes) -> str:
    return key.hex() + _SUFFIX


def _digest(key: bytes, data: bytes) -> bytes:
    return sha256(key + data).digest()


def _read(name: str, directory: int) -> bytes | None:
    try:
        # Without O_NONBLOCK, opening a pipe of that name would wait for ever.
        opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None
    with open(opened, "rb") as file:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode) or not _is_ours(status) or status.st_size > MOST_IN_FILE + _DIGEST:
            log.debug("not used, as others may write to it: %s", name)
            return None
        return file.read()


def _write(name: str, data: bytes, directory: int) -> None:
    draft = f".{token_hex(8)}{_SUFFIX}"
    try:
        opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory)
        with open(opened, "wb") as file:
            file.write(data)
        os.rename(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError as error:
        log.debug("cannot write %s: %s", name, error.strerror)
        with suppress(OSError):
            os.unlink(draft, dir_fd=directory)
