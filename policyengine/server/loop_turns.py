"""When a turn of the event loop began, so that requests can be served in the order of arrival."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from time import monotonic


class Turn:
    """The turn in which connections are read. Everything that is read in it was there when it began."""

    __slots__ = ("_began", "_loop")

    def __init__(self) -> None:
        self._began = 0.0
        self._loop: AbstractEventLoop | None = None

    def began(self, loop: AbstractEventLoop) -> float:
        """When it began; the first caller in a turn sets it."""
        if self._loop is not loop:
            self._loop, self._began = loop, monotonic()
            loop.call_soon(self._over)
        return self._began

    def _over(self) -> None:
        self._loop = None
