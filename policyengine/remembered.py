"""What was found out before, bounded, for several threads at once.

What was put in longest ago is forgotten first. Nothing depends on what is remembered but the time that an answer takes.
Reading takes no lock: it changes nothing. Where C or generated code looks things up, a plain dict is in the place of
this, and what fills it says what bounds it.
"""

from __future__ import annotations

from threading import Lock
from typing import Any, TypeVar

from cachetools import FIFOCache

K = TypeVar("K")
V = TypeVar("V")


class Remembered(FIFOCache[K, V]):
    """At most so many things."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._lock = Lock()

    def __setitem__(self, key: K, value: V, *_: Any) -> None:
        # Making room is several steps, and two threads could want to forget the same.
        with self._lock:
            super().__setitem__(key, value)

    def get(self, key: K, default: Any = None) -> Any:
        """What is remembered, or the default. Another thread may make room at any time, so nothing is asked twice."""
        try:
            return self[key]
        except KeyError:
            return default
