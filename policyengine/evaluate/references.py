"""Following references between entities, for generated code.

In: a World. Out: functions bound to it. Identities are pairs `(type, id)`, which are equal to and hash as Uids, so that
the common cases make no object but the pair. Each function gives what the interpreter gives for the same node, or
raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from policyengine.evaluate.runtime import Unusual
from policyengine.model.entities import PARENTS, World
from policyengine.model.types import EntityT, Type
from policyengine.model.values import as_entity, guard

Pair = tuple[str, str]


def functions(world: World) -> dict[str, Any]:
    """The functions, and the world's records, by the names that generated code uses."""
    elements, ancestors = _elements(world), _ancestors(world)
    return {
        "ancestors": ancestors,
        "reaches": _reaches(world, ancestors),
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
            return {entity.uid for entity in guard(value, type_)}
        found = seen.get((id(value), type_))
        if found is None:
            found = seen[id(value), type_] = frozenset(entity.uid for entity in elements(value, type_))
        return found

    return identities


Ancestors = Callable[[dict[str, Any], Mapping[str, Any]], Collection[Pair]]


def _reaches(
    world: World, ancestors: Ancestors
) -> Callable[[dict[str, Any], Mapping[str, Any], Mapping[str, Collection[str]]], bool]:
    """Whether anything above an entity is wanted; what is wanted is given as ids by type."""
    records = world.records

    def outright(entity: dict[str, Any], known: Mapping[str, Any], wanted: Mapping[str, Collection[str]]) -> bool:
        return any(type_ in wanted and id_ in wanted[type_] for type_, id_ in ancestors(entity, known))

    def reaches(entity: dict[str, Any], known: Mapping[str, Any], wanted: Mapping[str, Collection[str]]) -> bool:
        if "parents" not in entity or (known and "parents" in known):
            return outright(entity, known, wanted)
        parents = entity["parents"]
        if parents.__class__ is not list:
            return outright(entity, known, wanted)
        found = False
        # All are looked at, as any that is malformed is an error.
        for parent in parents:
            type_, id_ = parent["type"], parent["id"]
            if type_.__class__ is not str or id_.__class__ is not str or parent.__class__ is not dict:
                return outright(entity, known, wanted)
            if "parents" in parent or (type_ in records and id_ in records[type_]):
                return outright(entity, known, wanted)
            if type_ in wanted and id_ in wanted[type_]:
                found = True
        return found

    return reaches


def _ancestors(world: World) -> Ancestors:
    """A function from a principal or resource, and what is known of it, to the identities above it. The common cases,
    a hierarchy that is known and parents that nothing else is known about, are done without making an Entity."""
    records, climbed = world.records, world.climbed
    nothing: frozenset[tuple[str, str]] = frozenset()

    def ancestors(entity: dict[str, Any], known: Mapping[str, Any]) -> Collection[tuple[str, str]]:
        if PARENTS in known:
            above = climbed.get((entity["type"], entity["id"]))  # type: ignore[call-overload]
            return world.ancestors(as_entity(entity)) if above is None else above
        if PARENTS not in entity:
            return nothing
        found = set()
        for parent in entity[PARENTS]:
            type_, id_ = parent["type"], parent["id"]
            if type_.__class__ is not str or id_.__class__ is not str or parent.__class__ is not dict:
                return world.ancestors(as_entity(entity))
            if PARENTS in parent or (type_ in records and id_ in records[type_]):
                return world.ancestors(as_entity(entity))
            found.add((type_, id_))
        return found if entity[PARENTS].__class__ is list else world.ancestors(as_entity(entity))

    return ancestors
