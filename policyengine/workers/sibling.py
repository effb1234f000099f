"""A worker's end of the conversation with its supervisor.

It says when prepared policies begin to answer: once all workers have them ready. A worker whose supervisor is gone
ends.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Condition, Event, Lock, Thread
from typing import Any

from policyengine.files import FilesRead
from policyengine.reloading import Successor
from policyengine.workers import revision_files
from policyengine.workers.protocol import ANSWER, SUPERVISOR, line
from policyengine.workers.totals import Families

# How often it is looked whether what was prepared is outdated, in seconds.
LOOK = 0.25


@dataclass(frozen=True, slots=True)
class Report:
    """What one worker says of itself."""

    status: dict[str, Any]
    counts: Families


@dataclass(frozen=True, slots=True)
class Everybody:
    """What all workers say: `workers` the status of each, with its `pid` and whether it `answers`; and since when some
    are missing, do not answer, or answer from another revision."""

    workers: list[dict[str, Any]]
    wanted: int
    counts: Families
    since: str | None = None


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


class Sibling:
    """`gone` is called if the supervisor is."""

    def __init__(self, path: Path, gone: Callable[[], None] = _end) -> None:
        self._directory = path.parent
        self._gone = gone
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._saying = Lock()
        self._changed = Condition()
        # The latest that was heard of the revision that answers, and how often.
        self._current: str | None = None
        self._heard = 0
        self._answers: dict[int, Everybody] = {}
        self._number = 0
        self._ready: dict[str, Successor] = {}
        self._answering: str | None = None
        self._report: Callable[[], Report] = lambda: Report({}, [])
        self._look: Callable[[str], None] = lambda _: None
        self._catch_up: Callable[[FilesRead], None] = lambda _: None
        # What to look at, and whether to catch up with it.
        self._wanted: tuple[str, bool] | None = None
        self._look_now = Event()
        self._closed = False
        Thread(target=self._listen, name="supervised", daemon=True).start()
        Thread(target=self._look_again, name="told-to-look", daemon=True).start()

    # ---- starting ----

    def beginning(self) -> FilesRead | None:
        """The files with which to begin; None for those that are there, where nothing answers yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._heard > 0 or self._closed)
            while self._current is not None:
                try:
                    return revision_files.kept(self._directory, self._current)
                except OSError:
                    # Another one answers meanwhile.
                    before = self._heard
                    self._say("started", revision=None, pid=os.getpid())
                    self._changed.wait_for(lambda before=before: self._heard > before or self._closed)  # type: ignore[misc]
                    if self._closed:
                        break
        return None

    def started(self, revision: str, read: FilesRead | None) -> bool:
        """Whether this one may answer from a revision: False if others answer from another."""
        if read is not None:
            revision_files.keep(self._directory, revision, read)
        with self._changed:
            before = self._heard
            self._say("started", revision=revision, pid=os.getpid())
            self._changed.wait_for(lambda: self._heard > before or self._closed)
            self._answering = revision
            return self._closed or self._current == revision

    def run(
        self, report: Callable[[], Report], look: Callable[[str], None], catch_up: Callable[[FilesRead], None]
    ) -> None:
        """From now on there is something to report. `look` reads the files again, unless they answer already;
        `catch_up` has others answer, which were kept."""
        self._report, self._look, self._catch_up = report, look, catch_up
        if self._wanted is not None:
            self._look_now.set()

    # ---- taking turns ----

    def take(self, prepared: Successor) -> bool:
        revision = prepared.revision
        if revision == self._answering or self._closed:
            prepared.adopt()
            return True
        if prepared.loaded.files_read is not None:
            revision_files.keep(self._directory, revision, prepared.loaded.files_read)
        with self._changed:
            # Those before may still be told to answer, while this one waits.
            self._ready = {**dict(list(self._ready.items())[-1:]), revision: prepared}
            self._say("prepared", revision=revision)
        while True:
            if self._turn_comes(prepared):
                return True
            if prepared.outdated():
                return False

    def _turn_comes(self, prepared: Successor) -> bool:
        """Waits a little. Alone, every turn has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._answering == prepared.revision or self._closed, LOOK)
            if self._closed and self._answering != prepared.revision:
                prepared.adopt()
            return self._closed or self._answering == prepared.revision

    def refuse(self) -> None:
        self._say("dropped")

    def _swap(self, revision: str) -> None:
        with self._changed:
            prepared = self._ready.pop(revision, None)
            if prepared is None:
                return
            prepared.adopt()
            self._answers_from(revision)

    def _answers_from(self, revision: str) -> None:
        with self._changed:
            self._answering = revision
            self._say("swapped", revision=revision)
            self._changed.notify_all()

    # ---- asking ----

    def everybody(self) -> Everybody | None:
        """What all workers say now; None if nobody can be asked."""
        with self._changed:
            self._number += 1
            number = self._number
            self._say("everybody", number=number)
            self._changed.wait_for(lambda: number in self._answers or self._closed, 2 * ANSWER)
            return self._answers.pop(number, None)

    def release(self) -> None:
        """Whoever waits for a turn waits no longer."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._look_now.set()

    def close(self) -> None:
        self.release()
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    # ---- the talk ----

    def _say(self, word: str, **what: Any) -> None:
        try:
            with self._saying:
                self._socket.sendall(line(word, **what))
        except OSError:
            # Whoever listens notices.
            pass

    def _listen(self) -> None:
        try:
            with self._socket.makefile("rb") as lines:
                for said in lines:
                    self._hear(json.loads(said))
        except (OSError, ValueError):
            pass
        self._socket.close()
        is_surprise = not self._closed
        self.release()
        if is_surprise:
            self._gone()

    def _hear(self, said: dict[str, Any]) -> None:
        match said["word"]:
            case "current":
                with self._changed:
                    self._current = said["revision"]
                    self._heard += 1
                    self._changed.notify_all()
            case "swap":
                self._swap(said["revision"])
            case "look" | "behind":
                self._wanted = (said["revision"], said["word"] == "behind")
                self._look_now.set()
            case "report":
                report = self._report()
                self._say("report", number=said["number"], status=report.status, counts=report.counts)
            case "everybody":
                with self._changed:
                    self._answers[said["number"]] = Everybody(
                        said["workers"], said["wanted"], said["counts"], said["since"]
                    )
                    self._changed.notify_all()

    def _look_again(self) -> None:
        """In a thread of its own, as looking takes its time, and swapping does not wait."""
        while self._look_now.wait() and not self._closed:
            self._look_now.clear()
            if self._wanted is None or self._wanted[0] == self._answering:
                continue
            revision, is_behind = self._wanted
            if not is_behind and revision not in self._ready:
                self._look(revision)
            elif is_behind:
                with suppress(OSError):
                    self._catch_up(revision_files.kept(self._directory, revision))
                    self._answers_from(revision)


def joined() -> Sibling | None:
    """This process among its siblings; None for one that has none."""
    path = os.environ.get(SUPERVISOR)
    return Sibling(Path(path)) if path else None
