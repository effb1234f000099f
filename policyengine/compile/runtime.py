"""All that generated code may call.

Each function does for generated code what the interpreter does for the same node, or raises. What it raises does not
matter: where generated code cannot go on, the interpreter tells why.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from policyengine.evaluate.arguments import take
from policyengine.evaluate.provenance import sources
from policyengine.model import operators
from policyengine.model.entities import ABSENT, World
from policyengine.model.refined import refined
from policyengine.model.values import INT_MAX, INT_MIN, Entity, as_entity, guard


class Unusual(Exception):
    """Something that generated code leaves to the interpreter."""


# Joining is the fastest way to find out that all of a collection are strings: it raises for anything else.
_join = "".join


def bad(*_: Any) -> NoReturn:
    raise Unusual


def strings(value: Any) -> Any:
    """A set or list of strings as it came."""
    if value.__class__ is not list and value.__class__ not in (tuple, set, frozenset):
        raise Unusual
    _join(value)
    return value


def ordered_strings(value: Any) -> Any:
    """A list of strings as it came; a Python set is none."""
    if value.__class__ is not list and value.__class__ is not tuple:
        raise Unusual
    return strings(value)


def integers(left: int, right: int) -> bool:
    """True: both fit in 64 bits."""
    if not (INT_MIN <= left <= INT_MAX and INT_MIN <= right <= INT_MAX):
        raise Unusual
    return True


def holds_any(items: Iterable[Any], test: Callable[[Any], bool]) -> bool:
    return any(test(item) for item in items)


def holds_all(items: Iterable[Any], test: Callable[[Any], bool]) -> bool:
    return all(test(item) for item in items)


def find(entity: Entity, name: str, owners: frozenset[str] | None, world: World) -> Any:
    """A raw attribute of an entity other than the principal and the resource."""
    value = ABSENT if owners is not None and entity.uid.type not in owners else world.find(entity, name)
    if value is ABSENT:
        raise Unusual
    return value


def has(entity: Entity, name: str, owners: frozenset[str] | None, world: World) -> bool:
    return (owners is None or entity.uid.type in owners) and world.find(entity, name) is not ABSENT


def member(value: Any, name: str) -> Any:
    """A raw member of a record or JSON object."""
    if value.__class__ is not dict:
        raise Unusual
    return value[name]


def has_member(value: Any, name: str) -> bool:
    if value.__class__ is not dict:
        raise Unusual
    return name in value


def in_order(hits: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    return hits if len(hits) == 1 else tuple(sorted(hits))


NOTHING: Mapping[str, Any] = {}


# The names that generated code knows.
NAMES: Mapping[str, Any] = {
    "bad": bad,
    "in_order": in_order,
    "join": _join,
    "nothing": NOTHING,
    "none": frozenset(),
    "strings": strings,
    "ordered_strings": ordered_strings,
    "integers": integers,
    "holds_any": holds_any,
    "holds_all": holds_all,
    "find": find,
    "has": has,
    "member": member,
    "has_member": has_member,
    "guard": guard,
    "as_entity": as_entity,
    "contains": operators.contains,
    "lookup": operators.lookup,
    "refined": refined,
    "take": take,
    "has_key": operators.has_key,
    "within": operators.within,
    "equal": operators.equal,
    "arithmetic": operators.arithmetic,
    "negate": operators.negate,
    "like": operators.like,
    "sources": sources,
}
