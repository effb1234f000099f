"""Where a tool argument came from.

`model/provenance.py` reads what the context states. What nothing speaks for is from "unknown".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.model.entities import ABSENT, World
from policyengine.model.provenance import Path, is_there, stated
from policyengine.model.values import MAX_DEPTH, Entity, Fault

UNKNOWN = "unknown"


def sources(path: Path, resource: Entity, context: Mapping[str, Any], world: World) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted; "untrusted" is among them if any is not trusted.
    A part of the value that no entry speaks for adds "unknown". Raises Fault for malformed provenance."""
    said = stated(context.get("provenance", ABSENT))
    value: Any = world.find(resource, "args")
    for name in path:
        value = value.get(name, ABSENT) if type(value) is dict else _element(value, name)
    found: set[str] = set()
    todo: list[tuple[Path, Any]] = [(path, value)]
    while todo:
        here, part = todo.pop()
        if len(here) > MAX_DEPTH:
            raise Fault("POL506", f"a value is nested deeper than {MAX_DEPTH}")
        inner = _inner(part)
        if inner and any(len(p) > len(here) and p[: len(here)] == here for p in said):
            todo.extend(((*here, str(name)), item) for name, item in inner)
            if here and part.__class__ is dict:
                # The names of an object's members came from somewhere too: what is said of the object speaks for them.
                found |= _nearest(here, said)
        else:
            found |= _nearest(here, said)
    return tuple(sorted(found))


def _element(value: Any, position: str) -> Any:
    """The element of an array at a position that a quantifier counted."""
    if type(value) in (list, tuple) and position.isdecimal() and int(position) < len(value):
        return value[int(position)]
    return ABSENT


def points_to_nothing(context: Mapping[str, Any], resource: Entity, world: World) -> bool:
    """Whether the provenance speaks of an argument that the request does not have. Malformed provenance is for the
    rules that read it."""
    if "provenance" not in context:
        return False
    args = world.find(resource, "args")
    try:
        return not all(is_there(path, args) for path in stated(context["provenance"]))
    except Fault:
        return False


def _inner(value: Any) -> list[tuple[Any, Any]]:
    """The parts of an object or array, with the names they have in a path."""
    if type(value) is dict:
        return list(value.items())
    return list(enumerate(value)) if type(value) in (list, tuple) else []


def _nearest(path: Path, said: Mapping[Path, frozenset[str]]) -> frozenset[str]:
    """What is stated of the path, or else of the closest thing around it."""
    for length in range(len(path), -1, -1):
        if path[:length] in said:
            return said[path[:length]]
    return frozenset({UNKNOWN})
