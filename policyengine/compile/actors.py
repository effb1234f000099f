"""Decides about all actors of a request, one after the other, by generated code.

In: a request with more than one actor, in the parts that an entry takes. Out: the decision about all of them.
`evaluate/delegation.py` determines who the actors are. `native/intake.c` follows plain chains itself, with the same
result.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.compile.derived_decisions import Derived
from policyengine.compile.mention_check import MentionCheck
from policyengine.compile.vetted_names import VettedNames
from policyengine.evaluate.delegation import actors
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.request import request
from policyengine.schema.schema import Schema


@dataclass(frozen=True, slots=True)
class Actors:
    """Everything that is needed to decide about actors other than the principal. `entries` has the entry functions for
    this action and resource type by type of principal; functions are added when they are needed."""

    action: str
    entries: Mapping[str, Callable[..., Decision]]
    schema: Schema
    world: World
    derived: Derived
    vetted_names: VettedNames
    look: MentionCheck

    def together(
        self, principal: Any, resource: Any, context: Any, attributes: Any, approved: Collection[str] | None
    ) -> Decision:
        """The decision about the principal and its agents. Raises if the code for one of them does not exist yet."""
        asked = request(principal, self.action, resource, context)
        decisions = []
        for actor in actors(asked, self.world, self.schema):
            entry = self.entries[actor.principal.uid.type]
            # With `alone`, because the chain has been followed and the mentions have been merged here.
            parts = actor.principal.attributes, actor.resource.attributes, actor.context
            decisions.append(entry(*parts, attributes, approved, True))
        return self.derived.join(tuple(decisions))
