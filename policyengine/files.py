"""Which policy files exist, what they hold, and whether they have changed.

In: paths. Out: a Reading: texts, and everything that is listed and cannot be read. Nothing is skipped silently, because
what is missing may be the `forbid` that matters; only names that begin with a dot are ignored. Knows nothing about
policies but their file names. It never waits for a pipe or a device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import sleep

ENDING = ".pol"
# Entries below one path; with links to directories there could be the whole machine.
MOST_ENTRIES = 1_000_000
# Who has just written files may not be done: for so many seconds nothing may have changed before they are read again.
SETTLE = 0.02
# A set of files that changes each time that it is read is given up after so many times.
MOST_TRIES = 50


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that is listed and cannot be read: where, why, and what to do."""

    path: str
    why: str
    help: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The policy files at or below a path, sorted; and what cannot be listed."""

    files: tuple[Path, ...]
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class FilesRead:
    """What was read while nothing changed. `entities` is the file of entities, if one was asked for and can be read.
    `state` stands for the state that the files were in; None where they did not come to rest."""

    texts: tuple[Text, ...]
    entities: Text | None
    unread: tuple[Unread, ...]
    state: object


def read(policies: Path, entities: Path | None = None, settled: bool = False) -> FilesRead:
    """All policy files at or below a path, and a file of entities, from one moment: a half-written set of files is
    never taken for a whole one. With `settled`, nothing has changed for SETTLE seconds before."""
    paths = (policies,) if entities is None else (policies, entities)
    for _ in range(MOST_TRIES):
        before = state(paths)
        sleep(SETTLE if settled else 0)
        if state(paths) != before:
            continue
        reading = _read(policies, entities, before)
        if state(paths) == before:
            return reading
    return FilesRead((), None, (Unread(str(policies), "the files keep changing while they are read"),), None)


def state(paths: Iterable[Path]) -> object:
    """What tells one state of the files from another, without reading them: where each is on which disk, its size, and
    when it was last written or exchanged. The last cannot be set, so copies that keep size and date are noticed."""
    return tuple(_state(path) for path in paths)


def _state(root: Path) -> object:
    listing = listed(root)
    return (tuple((str(path), _identity(path)) for path in listing.files), listing.unread)


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = os.stat(path)
    except OSError as error:
        return (error.errno or 0,)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_mode


def _read(policies: Path, entities: Path | None, now: object) -> FilesRead:
    listing = listed(policies)
    unread = list(listing.unread)
    texts = [text for path in listing.files if (text := _text(path, unread)) is not None]
    known = _text(entities, unread) if entities is not None else None
    return FilesRead(tuple(texts), known, tuple(unread), now)


def _text(path: Path, unread: list[Unread]) -> Text | None:
    try:
        return Text(str(path), read_file(path))
    except OSError as error:
        unread.append(why_unread(path, error))
        return None


def read_file(path: Path, most: int = -1) -> bytes:
    """The bytes of a regular file, or so many of them at most. Raises OSError for anything else, and never waits for
    what is not one."""
    # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, _NOT_A_FILE, str(path))
        return file.read(most)


_NOT_A_FILE = "it is a pipe or a device, not a file"


def listed(root: Path) -> Listing:
    """The policy files at or below a path; a path that is not a directory is the one file. Links are followed, each
    directory is listed once, and what a link leads to is listed after all that stands there by itself."""
    try:
        status = os.stat(root)
    except OSError as error:
        return Listing((), (why_unread(root, error),))
    if not stat.S_ISDIR(status.st_mode):
        return Listing((root,))
    walk = _Walk()
    folders, links = [root], list[Path]()
    while folders or links:
        more_folders, more_links = walk.enter(folders.pop(0) if folders else links.pop(0))
        folders += more_folders
        links = sorted([*links, *more_links])
        if walk.entries > MOST_ENTRIES:
            return Listing((), (Unread(str(root), f"there are more than {MOST_ENTRIES:,} files below it"),))
    return Listing(tuple(sorted(walk.files)), tuple(sorted(walk.unread, key=lambda one: one.path)))


class _Walk:
    """What was found so far while directories are listed. `seen` are those, by disk and inode: links make circles."""

    def __init__(self) -> None:
        self.seen: set[tuple[int, int]] = set()
        self.entries = 0
        self.files: list[Path] = []
        self.unread: list[Unread] = []

    def enter(self, here: Path) -> tuple[list[Path], list[Path]]:
        """Lists one directory, once. The directories in it, and the links that lead to directories."""
        folders: list[Path] = []
        links: list[Path] = []
        try:
            status = os.stat(here)
            if (status.st_dev, status.st_ino) in self.seen:
                return folders, links
            self.seen.add((status.st_dev, status.st_ino))
            with os.scandir(here) as entries:
                in_order = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            self.unread.append(why_unread(here, error))
            return folders, links
        for entry in in_order:
            self.entries += 1
            if entry.name.startswith("."):
                continue
            path = here / entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(path)
                elif entry.is_symlink() and stat.S_ISDIR(os.stat(path).st_mode):
                    links.append(path)
                else:
                    self._file(path, entry.is_file())
            except OSError as error:
                self.unread.append(why_unread(path, error))
        return folders, links

    def _file(self, path: Path, regular: bool) -> None:
        name = path.name
        if name.endswith(ENDING) and regular:
            self.files.append(path)
        elif name.endswith(ENDING):
            self.unread.append(Unread(str(path), _NOT_A_FILE))
        elif name.casefold().endswith(ENDING):
            right = name[: -len(ENDING)] + ENDING
            why = f"the ending of a policy file is `{ENDING}`, in lower case"
            self.unread.append(Unread(str(path), why, f"rename it to `{right}`, or remove it"))


def why_unread(path: Path, error: OSError) -> Unread:
    """Why a file could not be read."""
    why = (error.strerror or "unreadable").lower()
    if error.errno == errno.ENOENT and os.path.islink(path):
        return Unread(str(path), "the link leads to nothing", "repair the link, or remove it")
    return Unread(str(path), why)
