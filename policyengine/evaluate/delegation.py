"""Who acts for whom: the chain of agents behind a request.

`context.agent` is the agent that makes the call for the principal. Its `delegated_by` is the agent that gave it the
task, and so on. A principal with `delegated_by` was given its task by somebody as well, whether or not its type
declares the attribute. Everyone in both chains must be allowed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.entities import ABSENT, World
from policyengine.model.request import Request
from policyengine.model.values import Entity, Fault, as_entity
from policyengine.schema.members import DELEGATED_BY, agent_types, delegators
from policyengine.schema.mentions import Mentions
from policyengine.schema.misspelt_names import check_names
from policyengine.schema.schema import Schema

MAX_CHAIN = 16


def actors(request: Request, world: World, schema: Schema, mentioned: Mentions | None = None) -> tuple[Request, ...]:
    """The request once for each actor that must be allowed: first as its principal makes it, then as each other actor
    would make it, nearest first: those that delegated to the principal, then the agents that act for it. In each
    request, everything said of an entity holds at every mention of it. `mentioned` holds the mentions in the request,
    if they have been collected. Raises Fault for a chain that is circular, too long, or not made of entities of the
    types that the schema gives `delegated_by` and `context.agent`, and for names in the request that are most likely
    misspelt."""
    mentioned = mentioned or Mentions(request, schema)
    whole = mentioned.united()
    principal = whole.principal
    types = delegators(principal.uid.type, schema)
    agents = _followed(world.find(principal, DELEGATED_BY), types, (principal,), world, schema)
    if "agent" in whole.context:
        agents += _followed(whole.context["agent"], agent_types(schema), (), world, schema)
    check_names(request, mentioned, schema)
    return (whole, *(replace(whole, principal=actor) for actor in agents))


def _followed(
    value: Any, types: frozenset[str] | None, seen: tuple[Entity, ...], world: World, schema: Schema
) -> tuple[Entity, ...]:
    agents: list[Entity] = []
    while value is not ABSENT:
        try:
            agent = as_entity(value)
        except Fault:
            raise Fault(codes.BAD_DELEGATION.id, "an agent in the delegation chain is not an entity") from None
        if types is not None and agent.uid.type not in types:
            raise Fault(
                codes.BAD_DELEGATION.id,
                f"an agent in the delegation chain is not of the type {' or '.join(sorted(types))}",
            )
        if agent in agents or agent in seen or len(agents) == MAX_CHAIN:
            raise Fault(codes.BAD_DELEGATION.id, f"the delegation chain is circular or longer than {MAX_CHAIN}")
        agents.append(agent)
        types = delegators(agent.uid.type, schema) or types
        value = world.find(agent, DELEGATED_BY)
    return tuple(agents)
