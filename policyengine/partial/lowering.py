"""How conditions become formulas: everything that lowering may read, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from policyengine.partial.formula import Hole, HoleAnswer
from policyengine.partial.gap import Gap
from policyengine.partial.holes import Holes

AskHole = Callable[[Hole], HoleAnswer]


@dataclass(frozen=True, slots=True)
class Lowering:
    """A gap, its holes, and answers about them. It contains none of a caller's values, so a formula depends on the
    policies, the world and the answers alone: callers that give the same answers get the same formula, with holes."""

    gap: Gap
    holes: Holes
    asked: AskHole

    def ask(self, hole: Hole) -> HoleAnswer:
        return hole.fixed[0] if hole.fixed is not None else self.asked(hole)


def put(hole: Hole) -> Any:
    """The argument of an atom for one value: the hole, or the value if it is the same for all callers."""
    return hole if hole.fixed is None else hole.fixed[1]


def put_all(hole: Hole) -> tuple[Any, ...]:
    """The argument of an atom for several values."""
    return (hole,) if hole.fixed is None else tuple(hole.fixed[1])
