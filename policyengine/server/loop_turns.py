"""When a turn of the event loop began, for whoever is served in the order in which things came."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from time import monotonic


class Turn:
    """The turn in which something is read from connections. Whatever is read in it was there when it began."""

    __slots__ = ("_began", "_loop")

    def __init__(self) -> None:
        self._began = 0.0
        self._loop: AbstractEventLoop | None = None

    def began(self, loop: AbstractEventLoop) -> float:
        """Its beginning, by the first who asks."""
        if self._loop is not loop:
            self._loop, self._began = loop, monotonic()
            loop.call_soon(self._over)
        return self._began

    def _over(self) -> None:
        self._loop = None
