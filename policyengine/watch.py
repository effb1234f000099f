"""Telling when files have changed, and have stopped changing.

Knows nothing of policies: paths in, calls out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

import structlog
from watchfiles import watch

# A change counts once nothing else has changed for this long, in milliseconds: writers need a moment to finish.
REST_MS = 100
# ... but a directory that never comes to rest is read after this long all the same.
PATIENCE_MS = 1000
# How long to wait for word of a change before looking all the same.
LOOK_MS = 500

_log = structlog.get_logger(__name__)


class Watcher:
    """Calls `changed` whenever the files below the paths are `stale`. Runs in a daemon thread until stopped.

    The operating system says when to look; it is asked to in any case now and then, as it forgets, and on some file
    systems never says anything.
    """

    def __init__(self, paths: Iterable[Path], stale: Callable[[], bool], changed: Callable[[], None]) -> None:
        self._paths = tuple(path.resolve() for path in paths)
        self._stale = stale
        self._changed = changed
        self._stop = Event()
        self._thread = Thread(target=self._run, name="policy-watcher", daemon=True)

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
                    if self._stale():
                        self._changed()
            except Exception:  # noqa: BLE001 - logged below
                # The thread must outlive one bad reload, or a directory that is gone for a moment; the last good
                # snapshot goes on answering.
                _log.exception("reload_failed")
                self._stop.wait(LOOK_MS / 1000)

    def _wakes(self) -> Iterator[object]:
        """Comes back when something has changed, and now and then."""
        # A file is watched through its directory: editors and deployments replace files instead of writing into them.
        roots = {path if path.is_dir() else path.parent for path in self._paths}
        return watch(
            *roots, watch_filter=None, debounce=PATIENCE_MS, step=REST_MS, stop_event=self._stop,
            rust_timeout=LOOK_MS, yield_on_timeout=True, raise_interrupt=False,
        )  # fmt: skip
