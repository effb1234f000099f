"""Who acts for whom: the chain of agents behind a request.

`context.agent` is the agent that makes the call for the principal; its `delegated_by` is the agent it got the task
from, and so on. Everyone in the chain must be allowed.
"""

from __future__ import annotations

from policyengine.model.entities import ABSENT, World
from policyengine.model.request import Request
from policyengine.model.types import EntityT
from policyengine.model.values import Entity, Fault, as_entity
from policyengine.schema.schema import Schema

MAX_CHAIN = 16


def chain(request: Request, world: World, schema: Schema) -> tuple[Entity, ...]:
    """The agents of a request, nearest first; empty if none acts for the principal. Raises Fault for a chain that
    cannot be followed: not of entities of the type that the schema gives `context.agent`, circular, or too long."""
    if "agent" not in request.context:
        return ()
    root = schema.context.get("agent")
    types = root.field.type.names if root is not None and isinstance(root.field.type, EntityT) else None
    agents: list[Entity] = []
    value = request.context["agent"]
    while value is not ABSENT:
        try:
            agent = as_entity(value)
        except Fault:
            raise Fault("POL507", "an agent in the delegation chain is no entity") from None
        if types is not None and agent.uid.type not in types:
            raise Fault("POL507", f"an agent in the delegation chain is not of the type {' or '.join(sorted(types))}")
        if agent in agents or len(agents) == MAX_CHAIN:
            raise Fault("POL507", f"the delegation chain is circular or longer than {MAX_CHAIN}")
        agents.append(agent)
        value = world.find(agent, "delegated_by")
    return tuple(agents)
