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

# They have no parts.
_WHOLE = (str, int, float, bool)
# What is stated by argument path, the paths around these, and the arguments.
Statement = tuple[Mapping[Path, frozenset[str]], frozenset[Path], Any]


def sources(path: Path, resource: Entity, context: Mapping[str, Any], world: World) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted; "untrusted" is among them if any is not trusted.
    A part of the value that no entry speaks for adds "unknown". Raises Fault for malformed provenance."""
    return sources_in(path, statement(resource, context, world))


def statement(resource: Entity, context: Mapping[str, Any], world: World) -> Statement:
    """What a request says of where its arguments came from, read once for all that is asked of it."""
    said = stated(context.get("provenance", ABSENT))
    around = frozenset(path[:length] for path in said for length in range(len(path)))
    return said, around, world.find(resource, "args")


def sources_in(path: Path, read: Statement) -> tuple[str, ...]:
    """The sources of an argument, by what a request says."""
    said, around, args = read
    top = sent(part(args, path))
    if top.__class__ in _WHOLE and len(path) <= MAX_DEPTH:
        return tuple(sorted(nearest(path, said)))
    found: set[str] = set()
    todo: list[tuple[Path, Any]] = [(path, top)]
    while todo:
        here, value = todo.pop()
        value = sent(value)
        if len(here) > MAX_DEPTH:
            raise Fault(codes.NESTED_TOO_DEEP.id, f"a value is nested deeper than {MAX_DEPTH}")
        inner = parts(value)
        if inner and here in around:
            todo.extend(((*here, str(name)), item) for name, item in inner)
            if here and value.__class__ is dict:
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
