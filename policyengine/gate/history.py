"""What a session did so far, as rules read it: `history`, the calls that ran, with what came back of each.

It stays in this process. Where it is not known in full (another process, more calls or longer results than are kept)
there is none, and a rule that reads it cannot be evaluated: a `permit` then grants nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.check.readers import is_readers
from policyengine.gate.scalars import scalars
from policyengine.ir.nodes import Attribute, Const, Expect, Has, Lookup, PolicySet, Root, Sources
from policyengine.ir.walk import walk

HISTORY = "history"
# So many calls, and so many characters in all of them, are kept.
MOST, LONGEST = 256, 1_000_000


class History:
    def __init__(self, known: bool = True) -> None:
        self._done: list[dict[str, Any]] = []
        self._size = 0
        self.full = not known

    def add(self, tool: str, arguments: Mapping[str, Any], result: Any) -> None:
        parts = [leaf for part in (arguments, result) for leaf in scalars(part)]
        self._size += sum(len(leaf) if isinstance(leaf, str) else 1 for leaf in parts)
        if self.full or len(self._done) >= MOST or self._size > LONGEST:
            self.full = True
            self._done.clear()
            return
        plain = all(type(leaf) in (str, int, float, bool) for leaf in parts)
        self._done.append({"tool": tool, "args": dict(arguments), "result": result if plain else None})

    def read(self) -> list[dict[str, Any]] | None:
        """The calls, oldest first; None where they are not all known."""
        return None if self.full else list(self._done)


class HistoryNeeds:
    """What rules ask for that is not told to them otherwise."""

    def __init__(self, policies: PolicySet) -> None:
        self.policies = policies
        nodes = [node for rule in policies.rules for node in walk(rule.condition)]
        self.history = any(
            isinstance(node, Attribute | Has) and isinstance(node.base, Root) and node.name == HISTORY for node in nodes
        )
        # The arguments whose sources are asked for; None for all of them.
        asked = [node.path[0] if node.path else None for node in nodes if isinstance(node, Sources)]
        named = frozenset(name for name in asked if isinstance(name, str))
        self.sources = named if len(named) == len(set(asked)) else None
        # The paths of the arguments whose readers are asked for.
        self.readers = frozenset(
            node.operand.key.value
            for node in nodes
            if is_readers(node)
            and isinstance(node, Expect)
            and isinstance(node.operand, Lookup)
            and isinstance(node.operand.key, Const)
        )
        # Whether it has to be known where values came from.
        self.traces = self.sources is None or bool(self.sources or self.readers)
