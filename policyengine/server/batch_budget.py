"""The work that one batch may ask for. It is counted and never timed, so the same batch always gets the same answer.

One unit is about a plain decision. An item counts one for each started kilobyte of its text, times one for its
principal and one for each agent behind it. It counts one for each 50 elements that quantifiers may visit, and ten for
each rule that cannot be evaluated, because explaining the error takes long. Equal items count once.
"""

from __future__ import annotations

from typing import Any

from policyengine.authzen.engine_arguments import Batch, DecideArguments
from policyengine.compile.quantifier_counts import QuantifierCounts
from policyengine.evaluate.delegation import MAX_CHAIN
from policyengine.model.entities import ABSENT, World
from policyengine.model.values import Fault, as_entity
from policyengine.server.errors import RequestError
from policyengine.server.record import Decided

# The number of units after which the event loop has its turn.
SLICE = 128
KILOBYTE = 1024
ERROR = 10
LOOKS = 50


class BatchBudget:
    """What one batch may still spend. Raises RequestError (413) once the batch is known to need more."""

    def __init__(self, units: int, batch: Batch, world: World, quantifier_counts: QuantifierCounts) -> None:
        self._units = units
        self._left = units
        self._costs: list[int] | None = None
        # Most batches are far below it, however many agents there are.
        most = _weight(max(batch.sizes), quantifier_counts.most_looks(max(batch.elements)))
        if len(batch.items) * most * (1 + 2 * MAX_CHAIN) > units:
            self._costs = [
                _weight(size, quantifier_counts.most_looks(elements))
                * (actors(item, world) if isinstance(item, dict) else 1)
                for item, size, elements in zip(batch.items, batch.sizes, batch.elements, strict=True)
            ]
            if sum(self._costs) > units:
                raise self._refusal()

    def spend(self, at: int, decided: Decided | None) -> int:
        """The units that answering the item has taken."""
        cost = 1 if self._costs is None else self._costs[at]
        if decided is not None and decided[1].errors:
            cost += ERROR * len(decided[1].errors)
        self._left -= cost
        if self._left < 0:
            raise self._refusal()
        return cost

    def _refusal(self) -> RequestError:
        return RequestError(
            413,
            f"the evaluations ask for more than {self._units} units of work: each counts its kilobytes, and one for "
            f"{LOOKS} elements that quantifiers may look at, times one for the principal and each agent, and {ERROR} "
            "for each rule that cannot be evaluated; send fewer at once",
        )


def is_little(items: int, size: int, units: int) -> bool:
    """Whether this many items of one body of this size need at most this many units, whatever is in them except
    quantifiers."""
    return items * _weight(size, 0) * (1 + 2 * MAX_CHAIN) <= units


def _weight(size: int, looks: int) -> int:
    return 1 + size // KILOBYTE + looks // LOOKS


def actors(request: DecideArguments, world: World) -> int:
    """The principal and the agents behind it, as far as a decision would follow the chain."""
    return 1 + _chain(request["context"].get("agent", ABSENT), world) + _chain_behind(request["principal"], world)


def _chain(value: Any, world: World) -> int:
    count = 0
    while value is not ABSENT and count < MAX_CHAIN:
        try:
            entity = as_entity(value)
            value = world.find(entity, "delegated_by")
        except Fault:
            break
        count += 1
    return count


def _chain_behind(principal: dict[str, Any], world: World) -> int:
    return max(_chain(principal, world) - 1, 0)
