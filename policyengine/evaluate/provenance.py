"""Where a tool argument came from.

`model/provenance.py` reads what the context states. What nothing speaks for is from "unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.entities import ABSENT, World
from policyengine.model.provenance import Path, nearest, part, parts, stated
from policyengine.model.values import MAX_DEPTH, Entity, Fault, sent


def sources(
    path: Path, resource: Entity, context: Mapping[str, Any], world: World, read: list[Any] | None = None
) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted; "untrusted" is among them if any is not trusted.
    A part of the value that no entry speaks for adds "unknown". Raises Fault for malformed provenance. `read` keeps
    what the request says, for whoever asks more than once."""
    read = [] if read is None else read
    if not read:
        said = stated(context.get("provenance", ABSENT))
        around = {path[:length] for path in said for length in range(len(path))}
        read += said, around, world.find(resource, "args")
    said, around, args = read
    alone = path in said and len(path) == 1 and path not in around
    if alone and type(sent(part(args, path))) in (str, int, float, bool):
        # As nearly all are: somebody speaks for an argument that has no parts.
        return tuple(sorted(said[path]))
    found: set[str] = set()
    todo: list[tuple[Path, Any]] = [(path, part(args, path))]
    while todo:
        here, value = todo.pop()
        value = sent(value)
        if len(here) > MAX_DEPTH:
            raise Fault(codes.NESTED_TOO_DEEP.id, f"a value is nested deeper than {MAX_DEPTH}")
        inner = parts(value)
        if inner and here in around:
            todo.extend(((*here, str(name)), item) for name, item in inner)
            if here and type(value) is dict:
                # The names of an object's members came from somewhere too: what is said of the object speaks for them.
                found |= nearest(here, said)
        else:
            found |= nearest(here, said)
    return tuple(sorted(found))


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
