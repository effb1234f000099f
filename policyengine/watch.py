"""Telling when files have changed, and have stopped changing.

Knows nothing of policies: paths in, calls out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

import structlog
from watchfiles import watch

# A change counts once nothing else has changed for this long, in milliseconds: writers need a moment to finish.
SETTLE_MS = 100
# ... but a directory that never comes to rest is read after this long all the same.
PATIENCE_MS = 1000

_log = structlog.get_logger(__name__)


class Watcher:
    """Calls `changed` after the files below the paths have changed. Runs in a daemon thread until stopped."""

    def __init__(self, paths: Iterable[Path], changed: Callable[[], None]) -> None:
        self._paths = tuple(path.resolve() for path in paths)
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
        # A file is watched through its directory: editors and deployments replace files instead of writing into them.
        roots = {path if path.is_dir() else path.parent for path in self._paths}
        changes = watch(
            *roots, watch_filter=self._concerns, debounce=PATIENCE_MS, step=SETTLE_MS, stop_event=self._stop,
            rust_timeout=200, raise_interrupt=False,
        )  # fmt: skip
        for _ in changes:
            try:
                self._changed()
            except Exception:  # noqa: BLE001 - logged below
                # The thread must outlive one bad reload; the last good snapshot goes on answering.
                _log.exception("reload_failed")

    def _concerns(self, _change: object, path: str) -> bool:
        found = Path(path)
        return found.suffix == ".pol" or any(found == p for p in self._paths) or found.is_dir() or not found.suffix
