"""What a request states of where the arguments of a tool came from, read.

In: the member `provenance` of a context. Out: for each argument path the names of its sources. A key is an argument's
name, or a JSON Pointer (RFC 6901) below `args`; "" is all of them. A value is a list of sources: a name, or an object
with `source` and `trusted`. A bare `user` or `system` is trusted, any other bare name is not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.entities import ABSENT
from policyengine.model.values import Fault, sent

UNKNOWN, UNTRUSTED = "unknown", "untrusted"
_TRUSTED_BY_NAME = ("user", "system")
Path = tuple[str, ...]


def stated(provenance: Any) -> dict[Path, frozenset[str]]:
    """The sources by argument path; none for ABSENT. Raises Fault for malformed provenance."""
    if provenance is ABSENT:
        return {}
    if type(provenance) is not dict:
        raise Fault(codes.MALFORMED.id, "`provenance` is an object from argument paths to lists of sources")
    found: dict[Path, frozenset[str]] = {}
    for name, entries in provenance.items():
        # Two spellings of one path add up: what either says may be true.
        path = _path(name)
        found[path] = found.get(path, frozenset()) | _entries(entries)
    return found


def part(value: Any, path: Path) -> Any:
    """What the arguments have at this path, or ABSENT."""
    for name in path:
        value = sent(value)
        if type(value) is dict and name in value:
            value = value[name]
        elif type(value) in (list, tuple) and _POSITION.fullmatch(name) and int(name) < len(value):
            value = value[int(name)]
        else:
            return ABSENT
    return value


def parts(value: Any) -> list[tuple[Any, Any]]:
    """The parts of an object or array, with the names they have in a path."""
    if type(value) is dict:
        return list(value.items())
    return list(enumerate(value)) if type(value) in (list, tuple) else []


def nearest(path: Path, said: Mapping[Path, frozenset[str]]) -> frozenset[str]:
    """What is stated of the path, or else of the closest thing around it."""
    for length in range(len(path), -1, -1):
        if path[:length] in said:
            return said[path[:length]]
    return frozenset({UNKNOWN})


_POSITION = re.compile(r"0|[1-9][0-9]{0,17}", re.ASCII)


def _path(name: Any) -> Path:
    if type(name) is not str:
        raise Fault(codes.MALFORMED.id, "an argument path is text")
    if name == "":
        return ()
    if not name.startswith("/"):
        return (name,)
    if "~" not in name:
        return tuple(name[1:].split("/"))
    if re.search("~(?![01])", name):
        raise Fault(codes.MALFORMED.id, "an argument path is no JSON Pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))


def _entries(entries: Any) -> frozenset[str]:
    if type(entries) is not list or not entries:
        raise Fault(codes.MALFORMED.id, "the sources of an argument are a list that is not empty")
    found: set[str] = set()
    for entry in entries:
        name = entry.get("source") if type(entry) is dict else entry
        trusted = entry.get("trusted", False) if type(entry) is dict else name in _TRUSTED_BY_NAME
        if type(name) is not str or type(trusted) is not bool:
            raise Fault(codes.MALFORMED.id, "a source is a name, or an object with `source` and `trusted`")
        found |= {name} if trusted else {name, UNTRUSTED}
    return frozenset(found)
