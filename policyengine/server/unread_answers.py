"""Answers that clients do not read, for all connections of a process: how many bytes they may hold together.

A transport keeps what its peer has not read, for as long as the peer may take. Beyond the bound, the connections that
have waited longest are closed.
"""

from __future__ import annotations

from typing import Protocol

MOST_UNREAD = 128 << 20


class Waiting(Protocol):
    def get_write_buffer_size(self) -> int: ...

    def abort(self) -> None: ...


class UnreadAnswers:
    """The answers, in the order in which they began to wait."""

    def __init__(self, most: int = MOST_UNREAD) -> None:
        self.most = most
        self.total = 0
        self._sizes: dict[Waiting, int] = {}

    def waits(self, transport: Waiting) -> None:
        """Called when the peer has stopped reading."""
        self.over(transport)
        self._sizes[transport] = size = transport.get_write_buffer_size()
        self.total += size
        while self.total > self.most and self._sizes:
            first = next(iter(self._sizes))
            self.over(first)
            first.abort()

    def over(self, transport: Waiting) -> None:
        """Called when the peer reads again, or is gone."""
        self.total -= self._sizes.pop(transport, 0)
