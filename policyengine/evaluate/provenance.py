"""Where a tool argument came from. `model/provenance.py` reads what the context states; what nothing speaks for is from
"unknown"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.model.entities import ABSENT, World
from policyengine.model.provenance import Path, SourceIndex, part, stated
from policyengine.model.values import Entity, Fault

ARGS = "args"


def sources(path: Path, resource: Entity, context: Mapping[str, Any], world: World) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted; "untrusted" is among them if any is not trusted.
    A part of the value that no entry speaks for adds "unknown". Raises Fault for malformed provenance."""
    return SourceIndex(context.get("provenance", ABSENT), world.find(resource, ARGS)).sources(path)


def points_to_nothing(context: Mapping[str, Any], resource: Entity, world: World) -> bool:
    """Whether the provenance speaks of an argument that the request does not have. Malformed provenance is for the
    rules that read it."""
    if "provenance" not in context:
        return False
    args = world.find(resource, ARGS)
    try:
        return any(part(args, path) is ABSENT for path in stated(context["provenance"]))
    except Fault:
        return False
