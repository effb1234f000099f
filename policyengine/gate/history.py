"""What a session has done so far, as rules read it: `history`, the calls that ran, with their results.

It stays in this process. If it is not known in full (in another process, or with more calls or longer results than are
kept), it is absent, and a rule that reads it cannot be evaluated: a `permit` then grants nothing.
"""

from __future__ import annotations

import marshal
from collections.abc import Mapping
from threading import Lock
from typing import Any

from policyengine.gate.scalars import scalars

HISTORY = "history"
# The most calls that are kept, and the most characters in all of them.
MOST, LONGEST = 256, 1_000_000


class History:
    def __init__(self, known: bool = True) -> None:
        self._done: list[dict[str, Any]] = []
        self._size = 0
        # The calls that were added since the history was last read, serialized, and their length.
        self._waiting: list[tuple[str, bytes]] = []
        self._waiting_size = 0
        self._adding = Lock()
        self.full = not known

    def add_lazily(self, tool: str, kept: bytes) -> None:
        """As `add`, but deferred until somebody reads the history. `kept` are the result and the arguments."""
        with self._adding:
            if self.full:
                return
            self._waiting.append((tool, kept))
            self._waiting_size += len(kept)
            if len(self._waiting) > MOST or self._waiting_size > LONGEST:
                self._bring()

    def _bring(self) -> None:
        waiting, self._waiting, self._waiting_size = self._waiting, [], 0
        for tool, kept in waiting:
            result, arguments = marshal.loads(kept)
            self._add(tool, arguments, result)

    def add(self, tool: str, arguments: Mapping[str, Any], result: Any) -> None:
        with self._adding:
            self._bring()
            self._add(tool, arguments, result)

    def _add(self, tool: str, arguments: Mapping[str, Any], result: Any) -> None:
        parts = [leaf for part in (arguments, result) for leaf in scalars(part)]
        self._size += sum(len(leaf) if isinstance(leaf, str) else 1 for leaf in parts)
        if self.full or len(self._done) >= MOST or self._size > LONGEST:
            self.full = True
            self._done.clear()
            return
        plain = all(type(leaf) in (str, int, float, bool) for leaf in parts)
        self._done.append({"tool": tool, "args": dict(arguments), "result": result if plain else None})

    def read(self) -> list[dict[str, Any]] | None:
        """The calls, oldest first; None if they are not all known."""
        with self._adding:
            self._bring()
            return None if self.full else list(self._done)
