"""What a call of a declared tool may carry: the arguments that the tool declares, of their types, and no others.

A declared tool is closed for `call`, at every depth. Rules are still evaluated: what is wrong with the arguments denies
beside whatever they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from policyengine.diagnostics import codes
from policyengine.evaluate.provenance import points_to_nothing
from policyengine.model.decision import RuleError
from policyengine.model.entities import ABSENT, World
from policyengine.model.refined import MAX_PROBLEMS, problems
from policyengine.model.request import Request
from policyengine.model.types import RecordT
from policyengine.model.values import Entity, Fault
from policyengine.schema.schema import CALL, TOOL, Schema

ARGS = "args"
REFUSED = codes.ARGUMENTS.id
NOWHERE = "the provenance speaks of an argument that is not there"


def declared_tools(schema: Schema) -> tuple[tuple[str, RecordT], ...]:
    """The types of the arguments of each declared tool."""
    return tuple((name, tool.args) for name, tool in sorted(schema.tools.items()))


def refused_arguments(schema: Schema, world: World, request: Request) -> tuple[RuleError, ...]:
    """What is wrong with the arguments of a call of a declared tool, and with what is said of where any tool's came
    from."""
    resource = request.resource
    if resource.uid.type != TOOL:
        return ()
    if points_to_nothing(request.context, resource, world):
        return (RuleError("", codes.MALFORMED.id, NOWHERE),)
    if request.action.name != CALL or resource.uid.id not in schema.tools:
        return ()
    messages = list(islice(_problems(resource, schema.tools[resource.uid.id].args, world), MAX_PROBLEMS + 1))
    more = ["and there are more"] if len(messages) > MAX_PROBLEMS else []
    return tuple(RuleError("", REFUSED, message) for message in [*messages[:MAX_PROBLEMS], *more])


def take(tools: tuple[tuple[str, RecordT], ...], resource: Entity, context: Mapping[str, Any], world: World) -> bool:
    """Whether the arguments are those that the tool declares, if it is declared, and the provenance is about them.
    Raises Fault where not."""
    if points_to_nothing(context, resource, world):
        raise Fault(codes.MALFORMED.id, NOWHERE)
    declared = dict(tools).get(resource.uid.id) if resource.uid.type == TOOL else None
    problem = next(_problems(resource, declared, world), None) if declared is not None else None
    if problem is not None:
        raise Fault(REFUSED, problem)
    return True


def _problems(resource: Entity, declared: RecordT, world: World) -> Any:
    args = world.find(resource, ARGS)
    return problems({} if args is ABSENT else args, declared, "")
