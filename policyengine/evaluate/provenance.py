"""Where a tool argument came from.

`model/provenance.py` reads what the context states. What nothing speaks for is from "unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.model.entities import ABSENT, World
from policyengine.model.provenance import Path, gathered_sources, index, part, stated
from policyengine.model.values import Entity, Fault

# What was found out of one request: the sources of each argument that was asked about, and below None what is stated.
Read = dict[Path | None, Any]


def sources(
    path: Path, resource: Entity, context: Mapping[str, Any], world: World, read: Read | None = None
) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted; "untrusted" is among them if any is not trusted.
    A part of the value that no entry speaks for adds "unknown". Raises Fault for malformed provenance. `read` keeps
    what is found out of a request, for whoever asks more than once."""
    read = {} if read is None else read
    if None not in read:
        read[None] = index(context.get("provenance", ABSENT), world.find(resource, "args"))
    known: tuple[str, ...] | None = read.get(path)
    if known is None:
        known = read[path] = gathered_sources(path, *read[None])
    return known


def points_to_nothing(context: Mapping[str, Any], resource: Entity, world: World) -> bool:
    """Whether the provenance speaks of an argument that the request does not have. Malformed provenance is for the
    rules that read it."""
    if "provenance" not in context:
        return False
    args = world.find(resource, "args")
    try:
        return any(part(args, path) is ABSENT for path in stated(context["provenance"]))
    except Fault:
        return False
