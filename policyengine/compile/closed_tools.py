"""A look at the arguments of a call, before generated code answers for it: what may be wrong goes the long way.

What a declared tool takes is told by `evaluate/arguments.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from policyengine.compile.intake import Entry
from policyengine.evaluate.arguments import ARGS, NOWHERE, REFUSED
from policyengine.evaluate.provenance import points_to_nothing
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.refined import test
from policyengine.model.types import RecordT
from policyengine.model.values import Fault, Uid, as_entity
from policyengine.schema.schema import TOOL, Schema


def closed(entry: Entry, checks: Mapping[str, Callable[[Any], bool]], world: World) -> Entry:
    """The entry for calls of tools, with a look at the arguments of declared ones, by name. Raises where the arguments
    may be wrong."""

    def decide(principal: Any, resource: Any, context: Any, *rest: Any) -> Decision:
        check = checks.get(resource["id"])
        if check is not None and not check(resource):
            raise Fault(REFUSED, "the arguments are not those that the tool declares")
        if context is not None and "provenance" in context and points_to_nothing(context, as_entity(resource), world):
            raise Fault("POL504", NOWHERE)
        return entry(principal, resource, context, *rest)

    return decide


def fast_checks(schema: Schema, world: World) -> Mapping[str, Callable[[Any], bool]]:
    """For each declared tool, whether a resource with that id, as it came, has the arguments that the tool declares. A
    function may say no of what `refused_arguments` finds nothing wrong with, and never the reverse."""
    return {name: _check(tool.args, world.record(Uid(TOOL, name))) for name, tool in schema.tools.items()}


def _check(declared: RecordT, record: Mapping[str, Any]) -> Callable[[Any], bool]:
    if ARGS in record:
        return lambda resource: False
    holds = test(declared)
    nothing: dict[str, Any] = {}

    def check(resource: Any) -> bool:
        return holds(resource.get(ARGS, nothing))

    return check
