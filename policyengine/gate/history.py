"""What a session did so far, as rules read it: `history`, the calls that ran, with what came back of each.

It stays in this process. Where it is not known in full (another process, more calls or longer results than are kept)
there is none, and a rule that reads it cannot be evaluated: a `permit` then grants nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.gate.trail import leaves
from policyengine.ir.nodes import Attribute, Expr, Has, PolicySet, Root
from policyengine.ir.walk import walk

HISTORY = "history"
# So many calls, and so many characters in all of them, are kept.
MOST, LONGEST = 256, 1_000_000


class History:
    def __init__(self, known: bool = True) -> None:
        self._done: list[dict[str, Any]] = []
        self._size = 0
        self.full = not known
        self._reads: tuple[PolicySet, bool] | None = None

    def add(self, tool: str, arguments: Mapping[str, Any], result: Any) -> None:
        parts = [leaf for part in (arguments, result) for leaf in leaves(part)]
        self._size += sum(len(leaf) if isinstance(leaf, str) else 1 for leaf in parts)
        if self.full or len(self._done) >= MOST or self._size > LONGEST:
            self.full = True
            self._done.clear()
            return
        plain = all(type(leaf) in (str, int, float, bool) for leaf in parts)
        self._done.append({"tool": tool, "args": dict(arguments), "result": result if plain else None})

    def read(self, policies: PolicySet) -> list[dict[str, Any]] | None:
        """The calls, oldest first; None where no rule asks for them, or where they are not all known."""
        if self._reads is None or self._reads[0] is not policies:
            self._reads = policies, any(map(_reads, (rule.condition for rule in policies.rules)))
        return list(self._done) if self._reads[1] and not self.full else None


def _reads(condition: Expr) -> bool:
    return any(
        isinstance(node, Attribute | Has) and isinstance(node.base, Root) and node.name == HISTORY
        for node in walk(condition)
    )
