"""Where a tool argument came from.

The context may carry `provenance`: for argument paths, who supplied the value. A key is an argument's name, or a JSON
Pointer (RFC 6901) below `args`; "" is all of them. A value is a list of sources: a name, or an object with `source`
and `trusted`. A bare `user` or `system` is trusted, any other bare name is not. What nothing speaks for is from
"unknown".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from policyengine.model.entities import ABSENT, World
from policyengine.model.values import MAX_DEPTH, Entity, Fault

UNKNOWN, UNTRUSTED = "unknown", "untrusted"
_TRUSTED_BY_NAME = ("user", "system")
_Path = tuple[str, ...]


def sources(path: _Path, resource: Entity, context: Mapping[str, Any], world: World) -> tuple[str, ...]:
    """The sources of an argument and of everything inside it, sorted; "untrusted" is among them if any is not trusted.
    A part of the value that no entry speaks for adds "unknown". Raises Fault for malformed provenance."""
    stated = _stated(context.get("provenance", ABSENT))
    value: Any = world.find(resource, "args")
    for name in path:
        value = value.get(name, ABSENT) if type(value) is dict else ABSENT
    found: set[str] = set()
    todo: list[tuple[_Path, Any]] = [(path, value)]
    while todo:
        here, part = todo.pop()
        if len(here) > MAX_DEPTH:
            raise Fault("POL506", f"a value is nested deeper than {MAX_DEPTH}")
        inner = _inner(part)
        if inner and any(len(p) > len(here) and p[: len(here)] == here for p in stated):
            todo.extend(((*here, str(name)), item) for name, item in inner)
            if here and part.__class__ is dict:
                # The names of an object's members came from somewhere too: what is said of the object speaks for them.
                found |= _nearest(here, stated)
        else:
            found |= _nearest(here, stated)
    return tuple(sorted(found))


def points_to_nothing(context: Mapping[str, Any], resource: Entity, world: World) -> bool:
    """Whether the provenance speaks of an argument that the request does not have. Malformed provenance is for the
    rules that read it."""
    if "provenance" not in context:
        return False
    args = world.find(resource, "args")
    try:
        return not all(_is_there(path, args) for path in _stated(context["provenance"]))
    except Fault:
        return False


def _is_there(path: _Path, value: Any) -> bool:
    for name in path:
        if value.__class__ is dict and name in value:
            value = value[name]
        elif value.__class__ in (list, tuple) and name in map(str, range(len(value))):
            value = value[int(name)]
        else:
            return False
    return True


def _inner(value: Any) -> list[tuple[Any, Any]]:
    """The parts of an object or array, with the names they have in a path."""
    if type(value) is dict:
        return list(value.items())
    return list(enumerate(value)) if type(value) in (list, tuple) else []


def _nearest(path: _Path, stated: Mapping[_Path, frozenset[str]]) -> frozenset[str]:
    """What is stated of the path, or else of the closest thing around it."""
    for length in range(len(path), -1, -1):
        if path[:length] in stated:
            return stated[path[:length]]
    return frozenset({UNKNOWN})


def _stated(provenance: Any) -> dict[_Path, frozenset[str]]:
    if provenance is ABSENT:
        return {}
    if type(provenance) is not dict:
        raise Fault("POL504", "`provenance` is an object from argument paths to lists of sources")
    stated: dict[_Path, frozenset[str]] = {}
    for name, entries in provenance.items():
        # Two spellings of one path add up: what either says may be true.
        path = _path(name)
        stated[path] = stated.get(path, frozenset()) | _entries(entries)
    return stated


def _path(name: Any) -> _Path:
    if type(name) is not str:
        raise Fault("POL504", "an argument path is text")
    if name == "":
        return ()
    if not name.startswith("/"):
        return (name,)
    if re.search("~(?![01])", name):
        raise Fault("POL504", "an argument path is no JSON Pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))


def _entries(entries: Any) -> frozenset[str]:
    if type(entries) is not list or not entries:
        raise Fault("POL504", "the sources of an argument are a list that is not empty")
    found: set[str] = set()
    for entry in entries:
        name = entry.get("source") if type(entry) is dict else entry
        trusted = entry.get("trusted", False) if type(entry) is dict else name in _TRUSTED_BY_NAME
        if type(name) is not str or type(trusted) is not bool:
            raise Fault("POL504", "a source is a name, or an object with `source` and `trusted`")
        found |= {name} if trusted else {name, UNTRUSTED}
    return frozenset(found)
