"""What a call of a declared tool may carry: the arguments that the tool declares, of their types, and no others.

For `call`, a declared tool accepts no other arguments, at any depth. Rules are still evaluated; an error in the
arguments denies the request whatever the rules say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.argument_sources import ARGS, points_to_nothing
from policyengine.model.decision import RuleError
from policyengine.model.entities import ABSENT, World
from policyengine.model.refined import MAX_PROBLEMS, problems
from policyengine.model.request import Request
from policyengine.model.types import RecordT
from policyengine.model.values import Entity, Fault
from policyengine.schema.schema import CALL, TOOL, Schema

REFUSED = codes.ARGUMENTS.id
NOWHERE = "the provenance speaks of an argument that is not there"


def refused_arguments(schema: Schema, world: World, request: Request) -> tuple[RuleError, ...]:
    """What is wrong with the arguments of a call of a declared tool, and with the provenance of the arguments of any
    tool."""
    if request.resource.uid.type != TOOL:
        return ()
    tool = schema.tools.get(request.resource.uid.id) if request.action.name == CALL else None
    args = None if tool is None else tool.args
    faults = list(islice(_faults(args, request.resource, request.context, world), MAX_PROBLEMS + 1))
    listed = [RuleError("", fault.code, fault.message) for fault in faults[:MAX_PROBLEMS]]
    more = [RuleError("", REFUSED, "and there are more")] if len(faults) > MAX_PROBLEMS else []
    return (*listed, *more)


def take(tools: tuple[tuple[str, RecordT], ...], resource: Entity, context: Mapping[str, Any], world: World) -> bool:
    """Checks that the arguments are those that the tool declares, if it is one of these tools, and that the provenance
    names only arguments of the request. Raises Fault otherwise."""
    for fault in _faults(dict(tools).get(resource.uid.id), resource, context, world):
        raise fault
    return True


def _faults(args: RecordT | None, tool: Entity, context: Mapping[str, Any], world: World) -> Iterator[Fault]:
    if points_to_nothing(context, tool, world):
        yield Fault(codes.MALFORMED.id, NOWHERE)
    elif args is not None:
        given = world.find(tool, ARGS)
        yield from (Fault(REFUSED, problem) for problem in problems({} if given is ABSENT else given, args, ""))
