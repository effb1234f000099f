"""How conditions become formulas: what lowering may look at, and that it looks at nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from policyengine.partial.formula import Answer, Hole
from policyengine.partial.gap import Gap
from policyengine.partial.holes import Holes

Ask = Callable[[Hole], Answer]


@dataclass(frozen=True, slots=True)
class Lowering:
    """A gap, its holes, and answers about them. Of a caller's values there is nothing here, so a formula is made of the
    policies, the world and the answers alone: callers that give the same answers have the same formula, with holes."""

    gap: Gap
    holes: Holes
    asked: Ask

    def ask(self, hole: Hole) -> Answer:
        return hole.fixed[0] if hole.fixed is not None else self.asked(hole)


def put(hole: Hole) -> Any:
    """What stands for one value in an atom: the hole, or the value if it is the same for all callers."""
    return hole if hole.fixed is None else hole.fixed[1]


def put_all(hole: Hole) -> tuple[Any, ...]:
    """What stands for values in an atom."""
    return (hole,) if hole.fixed is None else tuple(hole.fixed[1])
