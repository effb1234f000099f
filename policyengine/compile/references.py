"""Following references between entities, for generated code.

In: a World. Out: functions bound to it. Identities are pairs `(type, id)`, which are equal to and hash as Uids, so that
the common cases make no object but the pair. Each function gives what the interpreter gives for the same node, or
raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any

from policyengine.compile.runtime import Unusual
from policyengine.model.entities import MAX_ANCESTORS, PARENTS, World
from policyengine.model.types import EntityT, Type
from policyengine.model.values import Entity, Fault, Uid, as_entity, guard

Pair = tuple[str, str]

# With more parents than this in a request, what is above each of them is not put together.
FEW_PARENTS = 100


def functions(world: World, native: ModuleType | None) -> dict[str, Any]:
    """The functions, and the world's records, by the names that generated code uses."""
    elements, reach = _elements(world), _reach(world)
    ancestors = _ancestors(world, reach)
    if native is None:
        above = _above(world, ancestors, reach)
    else:
        above = native.Above(world.records, reach, ancestors, MAX_ANCESTORS)
    return {
        "ancestors": ancestors,
        "above": above,
        "records": world.records,
        "identity": _identity,
        "attribute_of": _attribute_of(world),
        "elements": elements,
        "identities": _identities(world, elements),
    }


def _identity(value: Any, type_: EntityT) -> Pair:
    """The identity of a raw reference to an entity of the type."""
    kind, id_ = value["type"], value["id"]
    if value.__class__ is dict and kind.__class__ is str and id_.__class__ is str and kind in type_.names:
        return kind, id_
    uid: Pair = guard(value, type_).uid
    return uid


def _attribute_of(world: World) -> Callable[[Any, EntityT, str, Collection[str] | None], Any]:
    """The raw attribute of a raw reference to an entity of the type."""
    records = world.records

    def attribute_of(value: Any, type_: EntityT, name: str, owners: Collection[str] | None) -> Any:
        kind, id_ = _identity(value, type_)
        if owners is not None and kind not in owners:
            raise Unusual
        known = records[kind].get(id_) if kind in records else None
        return known[name] if known is not None and name in known else value[name]

    return attribute_of


def _elements(world: World) -> Callable[[Any, Type], Any]:
    """The guarded elements of a collection of entities; those of the world's own collections are guarded once."""
    held: Mapping[int, Any] = world.held
    seen: dict[tuple[int, Type], Any] = {}

    def elements(value: Any, type_: Type) -> Any:
        if held.get(id(value)) is not value:
            return guard(value, type_)
        found = seen.get((id(value), type_))
        if found is None:
            found = seen[id(value), type_] = guard(value, type_)
        return found

    return elements


def _identities(world: World, elements: Callable[[Any, Type], Any]) -> Callable[[Any, Type], Collection[Pair]]:
    """The identities in a collection of entities."""
    held: Mapping[int, Any] = world.held
    seen: dict[tuple[int, Type], frozenset[Pair]] = {}

    def identities(value: Any, type_: Type) -> Collection[Pair]:
        if held.get(id(value)) is not value:
            return _plain_identities(value, type_)
        found = seen.get((id(value), type_))
        if found is None:
            found = seen[id(value), type_] = frozenset(entity.uid for entity in elements(value, type_))
        return found

    return identities


def _plain_identities(value: Any, type_: Any) -> Collection[Pair]:
    found: set[Pair] = set()
    if value.__class__ is not list:
        return {entity.uid for entity in guard(value, type_)}
    names = type_.element.names
    for each in value:
        kind, id_ = each["type"], each["id"]
        if each.__class__ is not dict or kind.__class__ is not str or id_.__class__ is not str or kind not in names:
            return {entity.uid for entity in guard(value, type_)}
        found.add((kind, id_))
    return found


Reach = Callable[[str, str, list[Any]], frozenset[Uid] | None]


def _reach(world: World) -> Reach:
    """A function from a known entity, one of the `parents` in a request, to everything at or above it, found once. None
    where only a climb from the request's own entity tells exactly what is above that."""
    found: dict[Pair, frozenset[Uid] | None] = {}

    def reach(type_: str, id_: str, parents: list[Any]) -> frozenset[Uid] | None:
        if len(parents) > FEW_PARENTS:
            return None
        if (type_, id_) not in found:
            found[type_, id_] = _reach_of(Uid(type_, id_), world)
        return found[type_, id_]

    return reach


def _reach_of(uid: Uid, world: World) -> frozenset[Uid] | None:
    try:
        above = world.ancestors(Entity(uid, {}))
    except Fault:
        return None
    # So few, and from so few parents, that it stays below the limit for ancestors together.
    if (len(above) + 1) * FEW_PARENTS > MAX_ANCESTORS:
        return None
    # What a reference says of its own parents counts only where the climb comes to it first.
    parents = (parent for each in (uid, *above) for parent in world.record(each).get(PARENTS, ()))
    return None if any(PARENTS in parent for parent in parents) else above | {uid}


Ancestors = Callable[[dict[str, Any], Mapping[str, Any]], Collection[Pair]]


# By id and type, each in a set of its own, which is what is found most often. Most ids are of nothing that is wanted.
Wanted = dict[str, dict[str, frozenset[Uid]]]
Above = Callable[[Wanted, dict[str, Any], Mapping[str, Any]], Collection[Pair]]


def wanted(targets: Collection[Uid]) -> Wanted:
    """Entities as `above` takes them."""
    found: Wanted = {}
    for uid in sorted(targets):
        found.setdefault(uid.id, {})[uid.type] = frozenset({uid})
    return found


def _above(world: World, ancestors: Ancestors, reach: Reach) -> Above:
    """A function from what is wanted, a principal or resource, and what is known of it, to which of the wanted are
    above it, and perhaps others that are. Parents that say nothing of theirs, which is what requests hold, are looked
    at in place; `native/above.c` does the same."""
    records = world.records
    nothing: frozenset[Uid] = frozenset()

    def above(wanted: Wanted, entity: dict[str, Any], known: Mapping[str, Any]) -> Collection[Pair]:
        if PARENTS in known:
            return ancestors(entity, known)
        if PARENTS not in entity:
            return nothing
        parents = entity[PARENTS]
        if parents.__class__ is not list or len(parents) > MAX_ANCESTORS:
            return ancestors(entity, known)
        found = nothing
        # All are looked at, as any that is malformed is an error.
        for parent in parents:
            type_, id_ = parent["type"], parent["id"]
            if type_.__class__ is not str or id_.__class__ is not str or parent.__class__ is not dict:
                return ancestors(entity, known)
            if PARENTS in parent:
                return ancestors(entity, known)
            if type_ in records and id_ in records[type_]:
                near = reach(type_, id_, parents)
                if near is None:
                    return ancestors(entity, known)
                found = found | near if found else near
            elif id_ in wanted and type_ in wanted[id_]:
                found = found | wanted[id_][type_] if found else wanted[id_][type_]
        return found

    return above


def _ancestors(world: World, reach: Reach) -> Ancestors:
    """A function from a principal or resource, and what is known of it, to the identities above it. The common cases,
    a hierarchy that is known and parents that say nothing of theirs, are done without making an Entity."""
    records, climbed = world.records, world.climbed
    nothing: frozenset[tuple[str, str]] = frozenset()

    def ancestors(entity: dict[str, Any], known: Mapping[str, Any]) -> Collection[tuple[str, str]]:
        if PARENTS in known:
            above = climbed.get((entity["type"], entity["id"]))  # type: ignore[call-overload]
            return world.ancestors(as_entity(entity)) if above is None else above
        if PARENTS not in entity:
            return nothing
        if entity[PARENTS].__class__ is not list or len(entity[PARENTS]) > MAX_ANCESTORS:
            return world.ancestors(as_entity(entity))
        found: set[Pair] = set()
        for parent in entity[PARENTS]:
            type_, id_ = parent["type"], parent["id"]
            if type_.__class__ is not str or id_.__class__ is not str or parent.__class__ is not dict:
                return world.ancestors(as_entity(entity))
            if PARENTS in parent:
                return world.ancestors(as_entity(entity))
            if type_ in records and id_ in records[type_]:
                near = reach(type_, id_, entity[PARENTS])
                if near is None:
                    return world.ancestors(as_entity(entity))
                found |= near
            else:
                found.add((type_, id_))
        return found

    return ancestors
