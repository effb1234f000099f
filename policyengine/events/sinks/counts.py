"""Events as counts, by kind."""

from __future__ import annotations

from collections import Counter
from threading import Lock

from policyengine.events.event import Event


class Counts:
    """How many events of each kind there were, for whoever shows it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: Counter[str] = Counter()

    def send(self, event: Event) -> None:
        with self._lock:
            self._counts[event.kind] += 1

    def read(self) -> dict[str, int]:
        with self._lock:
            return dict(self._counts)

    def close(self) -> None:
        """Nothing to close."""
