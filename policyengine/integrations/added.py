"""A list of tools, each of them gated however it came in: those that are added while an agent runs among them.

Whoever goes through it is shown those that could be called by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, SupportsIndex

MARK = "policyengine_gated"


class GatedTools(list[Any]):
    """`gate` makes a gated tool of one that is none yet, once for each; what it raises, whoever reads the list has.
    `shown` keeps those that are to be seen."""

    def __init__(
        self,
        tools: Iterable[Any],
        gate: Callable[[Any], Any],
        shown: Callable[[list[Any]], list[Any]] = lambda tools: tools,
    ) -> None:
        super().__init__(tools)
        self._gate = gate
        self._shown = shown
        # By identity of the tool that came in, which is kept so that no other has it.
        self._made: dict[int, tuple[Any, Any]] = {}

    def __iter__(self) -> Iterator[Any]:
        yield from self._shown([self._gated(one) for one in super().__iter__()])

    def __getitem__(self, at: SupportsIndex | slice) -> Any:
        tool = super().__getitem__(at)
        return [self._gated(one) for one in tool] if isinstance(at, slice) else self._gated(tool)

    def _gated(self, one: Any) -> Any:
        if hasattr(one, MARK):
            return one
        if id(one) not in self._made:
            self._made[id(one)] = one, self._gate(one)
        return self._made[id(one)][1]
