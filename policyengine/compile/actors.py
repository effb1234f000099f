"""Everyone who must be allowed, decided about one after the other by generated code.

In: a request of more than one actor, in the parts that an entry takes. Out: the decision for all. Who they are is told
by `evaluate/delegation.py`; `native/intake.c` follows plain chains by itself, and gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.compile.derived_decisions import Derived
from policyengine.compile.mention_check import Look
from policyengine.compile.vetted_names import VettedNames
from policyengine.evaluate.delegation import actors
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.request import request
from policyengine.schema.members import delegators
from policyengine.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Actors:
    """What is needed to decide for other actors than the principal. `entries` has the ways in for this action and the
    resource's type by type of principal; it grows as they are first needed."""

    action: str
    entries: Mapping[str, Callable[..., Decision]]
    schema: Schema
    world: World
    derived: Derived
    harmless: VettedNames
    look: Look

    @property
    def delegators(self) -> dict[str, frozenset[str]]:
        """For each type that declares `delegated_by`, the types that this may be of."""
        pairs = ((type_, delegators(type_, self.schema)) for type_ in self.schema.entities)
        return {type_: types for type_, types in pairs if types is not None}

    def together(
        self, principal: Any, resource: Any, context: Any, attributes: Any, approved: Collection[str] | None
    ) -> Decision:
        """The decision for the principal and its agents. Raises where anyone's is not at hand."""
        asked = request(principal, self.action, resource, context)
        decisions = []
        for one in actors(asked, self.world, self.schema):
            entry = self.entries[one.principal.uid.type]
            # With `alone`: the chain has been followed here, and the mentions have been put together.
            parts = one.principal.attributes, one.resource.attributes, one.context
            decisions.append(entry(*parts, attributes, approved, True))
        return self.derived.join(tuple(decisions))
