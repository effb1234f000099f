"""Where generated code is asked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CallSite:
    """What is known when a function is generated: the types of principal and resource, the action, for which types of
    entity the world has records, and whether such a principal may have got its task from somebody."""

    principal: str
    action: str
    resource: str
    recorded: frozenset[str]
    delegates: bool = False

    def type_of(self, root: str) -> str:
        return self.principal if root == "principal" else self.resource
