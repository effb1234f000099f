"""The requests for which code is generated."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallSite:
    """What is known when a function is generated: the types of the principal and the resource, the action, the entity
    types that have records in the world, and whether the principal may have `delegated_by`."""

    principal: str
    action: str
    resource: str
    recorded: frozenset[str]
    delegates: bool = False

    def type_of(self, root: str) -> str:
        return self.principal if root == "principal" else self.resource
