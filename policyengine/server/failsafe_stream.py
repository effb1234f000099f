"""A stream for log lines that never fails: a log that cannot be written is no reason to refuse a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO


class FailsafeStream:
    """Writes to the stream that `find` returns at that moment. What cannot be written is dropped and counted."""

    def __init__(self, find: Callable[[], TextIO | None]) -> None:
        self._find = find
        self.dropped = 0

    def write(self, text: str) -> int:
        try:
            stream = self._find()
            if stream is not None:
                return stream.write(text)
        except (OSError, ValueError):
            # A full disk, a pipe without a reader, a stream that is closed.
            self.dropped += 1
        return 0

    def flush(self) -> None:
        try:
            stream = self._find()
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            self.dropped += 1

    def isatty(self) -> bool:
        try:
            stream = self._find()
            return stream is not None and stream.isatty()
        except (OSError, ValueError):
            return False
