"""A look at the arguments of a call, before generated code answers for it: what may be wrong goes the long way.

What a declared tool takes is told by `evaluate/arguments.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from policyengine.compile.intake import Entry
from policyengine.compile.runtime import NOTHING
from policyengine.evaluate.arguments import ARGS, NOWHERE, REFUSED
from policyengine.evaluate.provenance import points_to_nothing
from policyengine.model.decision import Decision
from policyengine.model.entities import World
from policyengine.model.refined import test
from policyengine.model.values import Fault, Uid, as_entity
from policyengine.schema.schema import TOOL, Schema


def closed(entry: Entry, checks: Mapping[str, Callable[[Any], bool]], world: World) -> Entry:
    """The entry for calls of tools, with a look at the arguments of declared ones, by name. Raises where the arguments
    may be wrong."""

    records = world.records.get(TOOL, {})

    def decide(
        principal: Any,
        resource: Any,
        context: Any,
        attributes: Any = NOTHING,
        approved: Any = None,
        alone: bool = False,
    ) -> Decision:
        id_ = resource["id"]
        check = checks.get(id_)
        if check is not None and not check(resource.get(ARGS, NOTHING)):
            raise Fault(REFUSED, "the arguments are not those that the tool declares")
        if context and "provenance" in context:
            plain = id_ not in records and _names_arguments(context["provenance"], resource)
            if not plain and points_to_nothing(context, as_entity(resource), world):
                raise Fault("POL504", NOWHERE)
        if alone:
            return entry(principal, resource, context, attributes, approved, True)
        return entry(principal, resource, context, attributes, approved)

    return decide


def _names_arguments(provenance: Any, resource: Any) -> bool:
    """Whether it plainly speaks of nothing but whole arguments that are there."""
    args = resource.get(ARGS)
    if type(provenance) is not dict or type(args) is not dict:
        return False
    return provenance.keys() <= args.keys() and "/" not in {name[:1] for name in provenance}


def fast_checks(schema: Schema, world: World) -> Mapping[str, Callable[[Any], bool]]:
    """For each declared tool, whether arguments, as they came, are those that it declares. One may say no of what
    `refused_arguments` finds nothing wrong with, and never the reverse."""
    return {
        name: _never if ARGS in world.record(Uid(TOOL, name)) else test(tool.args)
        for name, tool in schema.tools.items()
    }


def _never(arguments: Any) -> bool:
    """What is known of the tool wins over what a request says."""
    return False
