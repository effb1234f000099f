"""Caches with a bound, for several threads at once.

The oldest entry is removed first. A cache changes nothing but the time that an answer takes. Reading takes no lock,
because it changes nothing. Where C or generated code looks things up, a plain dict stands in place of a cache, and the
code that fills it states its bound.
"""

from __future__ import annotations

from threading import Lock
from time import monotonic
from typing import Any, Generic, TypeVar

from cachetools import FIFOCache

K = TypeVar("K")
V = TypeVar("V")


class BoundedCache(FIFOCache[K, V]):
    """At most `most` entries."""

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


class ExpiringCache(Generic[K, V]):
    """At most `most` entries, each valid for `life` seconds after it was put in. A lookup takes a tenth of that in a
    `TTLCache`, which takes as long as deciding a call of a tool."""

    __slots__ = ("__weakref__", "_held", "_life", "_lock", "_most")

    def __init__(self, most: int, life: float) -> None:
        self._most, self._life = most, life
        # In the order in which they were put in, which is the order in which they end.
        self._held: dict[K, tuple[float, V]] = {}
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        held = self._held.get(key)
        return held[1] if held is not None and held[0] > monotonic() else None

    def __setitem__(self, key: K, value: V) -> None:
        with self._lock:
            self._put(key, value)

    def setdefault(self, key: K, value: V) -> V:
        """What is held, or this from now on."""
        with self._lock:
            held = self._held.get(key)
            if held is not None and held[0] > monotonic():
                return held[1]
            self._put(key, value)
            return value

    def _put(self, key: K, value: V) -> None:
        held, now = self._held, monotonic()
        held.pop(key, None)
        while held:
            oldest = next(iter(held))
            if len(held) < self._most and held[oldest][0] > now:
                break
            del held[oldest]
        held[key] = now + self._life, value

    def pop(self, key: K) -> None:
        """It is held no more, if it was."""
        with self._lock:
            self._held.pop(key, None)

    def __bool__(self) -> bool:
        """Whether anything is held."""
        with self._lock:
            return bool(self._held) and self._held[next(reversed(self._held))][0] > monotonic()

    def known(self) -> list[K]:
        """All that is held, oldest first."""
        with self._lock:
            now = monotonic()
            return [key for key, (ends, _) in self._held.items() if ends > now]
