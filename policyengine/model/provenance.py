"""Reads what a request states about the sources of a tool's arguments.

In: the member `provenance` of a context. Out: for each argument path the names of its sources. A key is an argument's
name, or a JSON Pointer (RFC 6901) below `args`; "" stands for all of them. A value is a list of sources: a name, or an
object with `source` and `trusted`. A bare `user` or `system` is trusted, any other bare name is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from copy import copy
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.entities import ABSENT
from policyengine.model.values import MAX_DEPTH, Fault, sent

UNKNOWN, UNTRUSTED = "unknown", "untrusted"
_TRUSTED_BY_NAME = ("user", "system")
_ALONE = {name: frozenset({name}) for name in _TRUSTED_BY_NAME}
Path = tuple[str, ...]


def stated(provenance: Any) -> dict[Path, frozenset[str]]:
    """The sources by argument path; empty for ABSENT. Raises Fault for malformed provenance."""
    if provenance is ABSENT:
        return {}
    if type(provenance) is not dict:
        raise Fault(codes.MALFORMED.id, "`provenance` is an object from argument paths to lists of sources")
    sources: dict[Path, frozenset[str]] = {}
    for name, entries in provenance.items():
        # Most pointers are written this way.
        plain = type(name) is str and name[:1] == "/" and "~" not in name
        path = tuple(name[1:].split("/")) if plain else _path(name)
        names_stated = _entries(entries)
        # Two spellings of one path are combined: what either states may be true.
        sources[path] = sources[path] | names_stated if path in sources else names_stated
    return sources


def around(paths: Iterable[Path]) -> set[Path]:
    """Every path that contains one of these paths."""
    holders: set[Path] = set()
    for path in paths:
        while path and (path := path[:-1]) not in holders:
            holders.add(path)
    return holders


class SourceIndex:
    """The stated sources of arguments, read once for all questions about them."""

    __slots__ = ("_args", "_by_path", "_lengths", "_names", "_outer")

    def __init__(self, provenance: Any, args: Any) -> None:
        """Raises Fault as `stated` does."""
        self._by_path = by_path = stated(provenance)
        self._outer = around(by_path)
        self._args = args
        self._names: dict[Path, tuple[str, ...]] = {}
        # The lengths of the paths with stated sources, the longest first.
        self._lengths = sorted({len(path) for path in by_path}, reverse=True)

    def about(self, args: Any) -> SourceIndex:
        """The same statements, for other arguments."""
        other = copy(self)
        other._args = args
        return other

    def sources(self, path: Path) -> tuple[str, ...]:
        """The sources of the value at a path and of everything inside it, sorted. Raises Fault if the path is too
        deep."""
        if path in self._outer:
            return self._gathered(path)
        # Most often no source is stated for a part of the value.
        if len(path) > MAX_DEPTH:
            raise _too_deep()
        for length in self._lengths:
            if length <= len(path):
                near = path[:length]
                if near in self._by_path:
                    names = self._names.get(near)
                    if names is None:
                        names = self._names[near] = tuple(sorted(self._by_path[near]))
                    return names
        return _UNKNOWN

    def _nearest(self, path: Path) -> frozenset[str]:
        """The sources stated for the path, or else for the closest value around it."""
        for length in self._lengths:
            if length <= len(path) and path[:length] in self._by_path:
                return self._by_path[path[:length]]
        return _NOT_SAID

    def _gathered(self, path: Path) -> tuple[str, ...]:
        said, outer = self._by_path, self._outer
        sources: set[str] = set()
        todo: list[tuple[Path, Any]] = [(path, part(self._args, path))]
        while todo:
            here, value = todo.pop()
            value = sent(value)
            inner = parts(value)
            if len(here) + bool(inner) > MAX_DEPTH:
                raise _too_deep()
            own = self._nearest(here)
            if not inner or (here and type(value) is dict):
                # The names of an object's members have a source too: what is stated for the object applies to them.
                sources |= own
            for name, item in inner:
                each = (*here, name if type(name) is str else str(name))
                if each in outer:
                    todo.append((each, item))
                else:
                    sources |= said.get(each, own)
        return tuple(sorted(sources))


_NOT_SAID, _UNKNOWN = frozenset({UNKNOWN}), (UNKNOWN,)


def _too_deep() -> Fault:
    return Fault(codes.NESTED_TOO_DEEP.id, f"a value is nested deeper than {MAX_DEPTH}")


def part(value: Any, path: Path) -> Any:
    """The value in the arguments at this path, or ABSENT."""
    for name in path:
        kind = type(value)
        if kind is not dict and kind is not list:
            value = sent(value)
            kind = type(value)
        if kind is dict:
            if name not in value:
                return ABSENT
            value = value[name]
            continue
        if kind is not list and kind is not tuple:
            return ABSENT
        # Most positions are small, and a lookup is faster than reading the number.
        at = _SMALL.get(name)
        if at is None:
            if not _POSITION.fullmatch(name):
                return ABSENT
            at = int(name)
        if at >= len(value):
            return ABSENT
        value = value[at]
    return value


def parts(value: Any) -> list[tuple[Any, Any]]:
    """The parts of an object or array, with the names they have in a path."""
    if type(value) is dict:
        return list(value.items())
    return list(enumerate(value)) if type(value) in (list, tuple) else []


_SMALL = {str(number): number for number in range(1_000)}
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
        raise Fault(codes.MALFORMED.id, "an argument path is not JSON Pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in name[1:].split("/"))


def _entries(entries: Any) -> frozenset[str]:
    if type(entries) is list and len(entries) == 1:
        entry = entries[0]
        if type(entry) is str and entry in _ALONE:
            return _ALONE[entry]
        return frozenset(_entry(entry))
    if type(entries) is not list or not entries:
        raise Fault(codes.MALFORMED.id, "the sources of an argument are a list that is not empty")
    return frozenset(name for entry in entries for name in _entry(entry))


def _entry(entry: Any) -> tuple[str, ...]:
    if type(entry) is dict:
        name, trusted = entry.get("source"), entry.get("trusted", False)
    else:
        name, trusted = entry, entry in _TRUSTED_BY_NAME
    if type(name) is not str or type(trusted) is not bool:
        raise Fault(codes.MALFORMED.id, "a source is a name, or an object with `source` and `trusted`")
    return (name,) if trusted else (name, UNTRUSTED)
