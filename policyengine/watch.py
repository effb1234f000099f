"""Notices when files have changed, and have stopped changing.

Knows nothing about policies: paths in, calls out. If the operating system cannot report changes, the files are checked
periodically, and the system is asked again later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from policyengine.diagnostics.safe_text import visible
from policyengine.lazy_import import library, logger

# A change counts once nothing else has changed for this long, in milliseconds: writers need a moment to finish.
REST_MS = 100
# ... but a directory that never comes to rest is read after this long all the same.
PATIENCE_MS = 1000
# How long to wait for word of a change before looking all the same.
LOOK_MS = 500
# So many looks without word of changes, before the operating system is asked again.
LOOKS = 20

_log = logger(__name__)
_watchfiles = library("watchfiles")


@dataclass(frozen=True, slots=True)
class Unwatched:
    """Why changes of files are not reported, since when, and which of the paths cannot be watched. All files are then
    checked twice a second."""

    sources: tuple[str, ...]
    since: datetime
    why: str


class Watcher:
    """Calls `changed` whenever the files below the paths are `stale`. Runs in a daemon thread until stopped.

    The operating system says when to look; it is asked to in any case now and then, as it forgets, and on some file
    systems never says anything. `told` hears of each time that it cannot say so, and of each time that it can again.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        stale: Callable[[], bool],
        changed: Callable[[], None],
        told: Callable[[Unwatched | None], None] = lambda _: None,
    ) -> None:
        self._paths = tuple(path.resolve() for path in paths)
        self._stale = stale
        self._changed = changed
        self._told = told
        self._stop = Event()
        self._thread = Thread(target=self._run, name="policy-watcher", daemon=True)
        # What is wrong now, if anything is.
        self.unwatched: Unwatched | None = None

    def start(self) -> Watcher:
        self._thread.start()
        return self

    def stop(self) -> None:
        """End watching; returns once no further call will be made."""
        self._stop.set()
        self._thread.join()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                for _ in self._wakes():
                    self._say(None)
                    self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is, looking goes on
                # An unreadable directory, too many watches, a directory that is gone for a moment.
                self._say(str(error) or type(error).__name__)
                for _ in range(LOOKS):
                    if self._stop.wait(LOOK_MS / 1000):
                        break
                    self._look()

    def _look(self) -> None:
        """The thread outlives whatever one reload does; the last good snapshot goes on answering."""
        try:
            if self._stale():
                self._changed()
        except Exception:  # noqa: BLE001 - logged
            _log.exception("reload_failed")

    def _say(self, why: str | None) -> None:
        if (why is None) is (self.unwatched is None):
            return
        before = self.unwatched
        self.unwatched = None if why is None else Unwatched(self._unwatchable(), datetime.now(UTC), visible(why)[:500])
        try:
            if self.unwatched is not None:
                _log.warning("not_watched", **_said(self.unwatched))
            elif before is not None:
                _log.info("watching_again", **_said(before))
            self._told(self.unwatched)
        except Exception:  # noqa: BLE001 - nobody can be told, and looking goes on
            pass

    def _unwatchable(self) -> tuple[str, ...]:
        """The paths that cannot be watched, each alone; all, if it takes all of them."""
        failing: list[str] = []
        for path in self._paths:
            try:
                next(iter(self._wakes([path], 1)), None)
            except Exception:  # noqa: BLE001 - whatever it is
                failing.append(str(path))
        return tuple(failing or map(str, self._paths))

    def _wakes(self, paths: Iterable[Path] = (), timeout: int = LOOK_MS) -> Iterator[object]:
        """Comes back when something has changed at all paths, or at some, and now and then."""
        # A file is watched through its directory: editors and deployments replace files instead of writing into them.
        roots = {path if path.is_dir() else path.parent for path in paths or self._paths}
        woken: Iterator[object] = _watchfiles.watch(
            *roots, watch_filter=None, debounce=PATIENCE_MS, step=REST_MS, stop_event=self._stop,
            rust_timeout=timeout, yield_on_timeout=True, raise_interrupt=False,
        )  # fmt: skip
        return woken


def _said(unwatched: Unwatched) -> dict[str, object]:
    since = unwatched.since.isoformat(timespec="seconds")
    return {"sources": unwatched.sources, "since": since, "why": unwatched.why}
