"""How long a connection may take for its current step: one timer for all steps.

Making a timer takes longer than answering a request, so there is no new one for each. A timer that fires too early
checks how much time is left.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable

_NEVER = float("inf")
# How far the clock of an event loop may be behind.
_TICK = 0.001


class Deadline:
    """Calls `late` once, unless it is moved before."""

    __slots__ = ("_at", "_due", "_late", "_loop", "_timer")

    def __init__(self, loop: AbstractEventLoop, late: Callable[[], None]) -> None:
        self._loop = loop
        self._late = late
        self._at = _NEVER
        # When the timer comes, if there is one.
        self._due = _NEVER
        self._timer: TimerHandle | None = None

    def move(self, seconds: float) -> None:
        """Sets the deadline to this many seconds from now."""
        self._at = at = self._loop.time() + seconds
        if at < self._due:
            self._set(seconds, at)

    def lift(self) -> None:
        """Removes the deadline. The timer may stay: there will be another deadline."""
        self._at = _NEVER

    def end(self) -> None:
        """Ends the timer."""
        self._at = self._due = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, seconds: float, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(seconds, self._come)

    def _come(self) -> None:
        self._timer, self._due = None, _NEVER
        left = self._at - self._loop.time()
        if left == _NEVER:
            return
        if left > _TICK:
            self._set(left, self._at)
        else:
            self._at = _NEVER
            self._late()
