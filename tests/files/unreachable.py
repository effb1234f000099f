"""Ways in which a file that is listed cannot be read. Each makes one in a directory and gives the path to blame."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def dangling_link(folder: Path) -> Path:
    (folder / "strict.pol").symlink_to("gone.pol")
    return folder / "strict.pol"


def dangling_link_to_a_directory(folder: Path) -> Path:
    (folder / "strict").symlink_to("releases/7")
    return folder / "strict"


def link_to_itself(folder: Path) -> Path:
    (folder / "strict.pol").symlink_to("strict.pol")
    return folder / "strict.pol"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "strict.pol")
    return folder / "strict.pol"


def link_to_a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "queue")
    (folder / "strict.pol").symlink_to("queue")
    return folder / "strict.pol"


def device(folder: Path) -> Path:
    (folder / "strict.pol").symlink_to("/dev/null")
    return folder / "strict.pol"


def other_case(folder: Path) -> Path:
    (folder / "strict.POL").write_text("module strict\n")
    return folder / "strict.POL"


def unreadable_file(folder: Path) -> Path:
    (folder / "strict.pol").write_text("module strict\n")
    (folder / "strict.pol").chmod(0)
    return folder / "strict.pol"


def unreadable_directory(folder: Path) -> Path:
    (folder / "strict").mkdir(mode=0o311)
    return folder / "strict"


def directory_that_cannot_be_entered(folder: Path) -> Path:
    (folder / "strict").mkdir()
    (folder / "strict" / "strict.pol").write_text("module strict\n")
    (folder / "strict").chmod(0o644)
    return folder / "strict" / "strict.pol"


WAYS: list[Callable[[Path], Path]] = [
    dangling_link, dangling_link_to_a_directory, link_to_itself, pipe, link_to_a_pipe, device, other_case,
    unreadable_file, unreadable_directory, directory_that_cannot_be_entered,
]  # fmt: skip


@contextmanager
def permissions_count() -> Iterator[None]:
    """The permissions of files hold for this thread even if it is root's: it does without the capabilities (Linux,
    capabilities(7)) to pass over them."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    before = sets[0]
    sets[0] &= ~(_DAC_OVERRIDE | _DAC_READ_SEARCH)
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


_CAPABILITY_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1 << 1, 1 << 2


@contextmanager
def no_file_descriptors() -> Iterator[None]:
    """Opening anything fails: too many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/dev/null", os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
