"""Where a tool argument came from: what `sources(...)` means. `provenance.py` reads what the context states; a value
without a statement comes from "unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.model.entities import ABSENT, World
from policyengine.model.provenance import Path, SourceIndex, part, stated
from policyengine.model.request import Request
from policyengine.model.values import Entity, Fault

ARGS = "args"
# What is known of one request: the sources of each argument that was asked about and, under None, what the context
# states.
ProvenanceRead = dict[Path | None, Any]


def sources(
    path: Path, resource: Entity, context: Mapping[str, Any], world: World, read: ProvenanceRead
) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted. "untrusted" is among them if any source is not
    trusted, and "unknown" if no entry covers a part of the value. `read` belongs to one request: the context is read
    once, however many rules ask. Raises Fault for malformed provenance."""
    if None not in read:
        read[None] = _stated(context, world.find(resource, ARGS))
    if isinstance(read[None], Fault):
        raise Fault(read[None].code, read[None].message)
    if path not in read:
        read[path] = read[None].sources(path)
    names: tuple[str, ...] = read[path]
    return names


def _stated(context: Mapping[str, Any], args: Any) -> SourceIndex | Fault:
    try:
        return SourceIndex(context.get("provenance", ABSENT), args)
    except Fault as fault:
        return fault


def read_about(request: Request, world: World, read: ProvenanceRead) -> ProvenanceRead:
    """The same for a request that differs only in its resource: the context is the same for both."""
    if None not in read:
        read[None] = _stated(request.context, ABSENT)
    index = read[None]
    return {None: index.about(world.find(request.resource, ARGS)) if type(index) is SourceIndex else index}


def points_to_nothing(context: Mapping[str, Any], resource: Entity, world: World) -> bool:
    """Whether the provenance names an argument that the request does not have. Malformed provenance is left to the
    rules that read it."""
    if "provenance" not in context:
        return False
    args = world.find(resource, ARGS)
    try:
        return any(part(args, path) is ABSENT for path in stated(context["provenance"]))
    except Fault:
        return False
