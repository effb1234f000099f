"""The ancestors of an entity, for generated code."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any

from policyengine.model.entities import MAX_ANCESTORS, PARENTS, World
from policyengine.model.values import Entity, Fault, Uid, as_entity

# If an entity has more parents than this in a request, the sets above them are not merged.
FEW_PARENTS = 100

Pair = tuple[str, str]
# By id and type, each in a set of its own, so that the most frequent result needs no new set. Most ids are not wanted.
WantedEntities = dict[str, dict[str, frozenset[Uid]]]
Reach = Callable[[str, str, list[Any]], frozenset[Uid] | None]
AncestorsAmong = Callable[[WantedEntities | None, dict[str, Any], Mapping[str, Any]], Collection[Pair]]


def hierarchy(world: World, native: ModuleType | None) -> dict[str, Any]:
    """The functions by the names that generated code uses. `ancestors` takes a principal or resource and what is known
    of it; `ancestors_among` takes the wanted entities before these, and may leave out all others."""
    reach = _reach(world)
    in_python = _ancestors_among(world, reach)

    def ancestors(entity: dict[str, Any], known: Mapping[str, Any]) -> Collection[Pair]:
        return in_python(None, entity, known)

    among = in_python if native is None else native.AncestorsAmong(world.records, reach, ancestors, MAX_ANCESTORS)
    return {"ancestors": ancestors, "ancestors_among": among}


def wanted(targets: Collection[Uid]) -> WantedEntities:
    """Entities in the form that `ancestors_among` takes."""
    pairs: WantedEntities = {}
    for uid in sorted(targets):
        pairs.setdefault(uid.id, {})[uid.type] = frozenset({uid})
    return pairs


def _ancestors_among(world: World, reach: Reach) -> AncestorsAmong:
    """Which of the wanted entities are above a principal or resource; other ancestors may be included, and all are if
    nothing says which are wanted. `native/ancestors.c` does the same for wanted entities."""
    records, known_ancestors = world.records, world.known_ancestors
    nothing: frozenset[Uid] = frozenset()

    def among(wanted: WantedEntities | None, entity: dict[str, Any], known: Mapping[str, Any]) -> Collection[Pair]:
        if PARENTS in known:
            found_before = known_ancestors.get((entity["type"], entity["id"]))  # type: ignore[call-overload]
            return world.ancestors(as_entity(entity)) if found_before is None else found_before
        if PARENTS not in entity:
            return nothing
        parents = entity[PARENTS]
        if type(parents) is not list or len(parents) > MAX_ANCESTORS:
            return world.ancestors(as_entity(entity))
        every: set[Pair] = set()
        # Every parent is read, because any malformed one is an error.
        for parent in parents:
            type_, id_ = parent["type"], parent["id"]
            if type(type_) is not str or type(id_) is not str or type(parent) is not dict:
                return world.ancestors(as_entity(entity))
            if PARENTS in parent:
                return world.ancestors(as_entity(entity))
            if type_ in records and id_ in records[type_]:
                near = reach(type_, id_, parents)
                if near is None:
                    return world.ancestors(as_entity(entity))
                every |= near
            elif wanted is None or (id_ in wanted and type_ in wanted[id_]):
                every.add((type_, id_))
        return every

    return among


def _reach(world: World) -> Reach:
    """A function from a known entity, one of the `parents` in a request, to everything at or above it, found once. None
    if only a climb from the request's own entity gives exactly what is above."""
    reached: dict[Pair, frozenset[Uid] | None] = {}

    def reach(type_: str, id_: str, parents: list[Any]) -> frozenset[Uid] | None:
        if len(parents) > FEW_PARENTS:
            return None
        if (type_, id_) not in reached:
            reached[type_, id_] = _reach_of(Uid(type_, id_), world)
        return reached[type_, id_]

    return reach


def _reach_of(uid: Uid, world: World) -> frozenset[Uid] | None:
    try:
        above = world.ancestors(Entity(uid, {}))
    except Fault:
        return None
    # Small enough that the sets of all parents together stay below the limit for ancestors.
    if (len(above) + 1) * FEW_PARENTS > MAX_ANCESTORS:
        return None
    # The parents that a reference itself gives count only if the climb comes to it first.
    parents = (parent for each in (uid, *above) for parent in world.record(each).get(PARENTS, ()))
    return None if any(PARENTS in parent for parent in parents) else above | {uid}
