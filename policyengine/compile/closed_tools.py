"""A quick check of the arguments of a call, before generated code answers for it. If something may be wrong, the
interpreter decides.

`evaluate/tool_arguments.py` defines what a declared tool takes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from policyengine.compile.intake import Check
from policyengine.compile.runtime import NOTHING
from policyengine.model.argument_sources import ARGS, points_to_nothing
from policyengine.model.entities import World
from policyengine.model.refined import test
from policyengine.model.values import Uid, as_entity
from policyengine.schema.schema import TOOL, Schema

# An argument whose name has only these characters cannot be the path of a part of another one.
_PLAIN = re.compile(r"\w+").fullmatch


def closed(checks: Mapping[str, Callable[[Any], bool]], world: World) -> Check:
    """A check of the arguments of declared tools, by name, and of the provenance that a request gives for any tool:
    True unless these may be wrong."""

    records = world.records.get(TOOL, {})

    def check(resource: Any, context: Any) -> bool:
        id_ = resource["id"]
        of_tool = checks.get(id_)
        if of_tool is not None and not of_tool(resource.get(ARGS, NOTHING)):
            return False
        if not context or "provenance" not in context:
            return True
        plain = ARGS not in records.get(id_, NOTHING) and _names_arguments(context["provenance"], resource)
        return plain or not points_to_nothing(context, as_entity(resource), world)

    return check


def _names_arguments(provenance: Any, resource: Any) -> bool:
    """Whether the provenance clearly names nothing but whole arguments that the call has."""
    args = resource.get(ARGS)
    if type(provenance) is not dict or type(args) is not dict:
        return False
    if provenance.keys() <= args.keys():
        return "/" not in {name[:1] for name in provenance}
    return {f"/{name}" for name in args if _PLAIN(name)} >= provenance.keys()


def fast_checks(schema: Schema, world: World) -> Mapping[str, Callable[[Any], bool]]:
    """For each declared tool, a test whether raw arguments are the ones that it declares. The test may reject arguments
    that `refused_arguments` accepts, but never the reverse."""
    return {
        name: _never if ARGS in world.record(Uid(TOOL, name)) else test(tool.args)
        for name, tool in schema.tools.items()
    }


def _never(arguments: Any) -> bool:
    """What is known of the tool takes precedence over the request."""
    return False
