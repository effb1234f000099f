"""Following references between entities, for generated code.

In: a World. Out: functions bound to it. Identities are pairs `(type, id)`, which are equal to Uids and have the same
hash, so that the common cases create no object but the pair. Each function gives what the interpreter gives for the
same node, or raises.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from types import ModuleType
from typing import Any

from policyengine.compile.hierarchy import Pair, hierarchy
from policyengine.compile.runtime import Unusual
from policyengine.model.entities import World
from policyengine.model.types import EntityT, Type
from policyengine.model.values import guard


def functions(world: World, native: ModuleType | None) -> dict[str, Any]:
    """The functions and the world's records, by the names that generated code uses."""
    elements = _elements(world)
    return {
        **hierarchy(world, native),
        "records": world.records,
        "identity": _identity,
        "attribute_of": _attribute_of(world),
        "elements": elements,
        "identities": _identities(world, elements),
    }


def _identity(value: Any, type_: EntityT) -> Pair:
    """The identity in a raw reference to an entity of the type."""
    kind, id_ = value["type"], value["id"]
    if type(value) is dict and type(kind) is str and type(id_) is str and kind in type_.names:
        return kind, id_
    uid: Pair = guard(value, type_).uid
    return uid


def _attribute_of(world: World) -> Callable[[Any, EntityT, str, Collection[str] | None], Any]:
    """The raw attribute of the entity in a raw reference."""
    records = world.records

    def attribute_of(value: Any, type_: EntityT, name: str, owners: Collection[str] | None) -> Any:
        kind, id_ = _identity(value, type_)
        if owners is not None and kind not in owners:
            raise Unusual
        known = records[kind].get(id_) if kind in records else None
        return known[name] if known is not None and name in known else value[name]

    return attribute_of


def _elements(world: World) -> Callable[[Any, Type], Any]:
    """The guarded elements of a collection of entities; the world's own collections are guarded once."""
    held: Mapping[int, Any] = world.held
    seen: dict[tuple[int, Type], Any] = {}

    def elements(value: Any, type_: Type) -> Any:
        if held.get(id(value)) is not value:
            return guard(value, type_)
        guarded = seen.get((id(value), type_))
        if guarded is None:
            guarded = seen[id(value), type_] = guard(value, type_)
        return guarded

    return elements


def _identities(world: World, elements: Callable[[Any, Type], Any]) -> Callable[[Any, Type], Collection[Pair]]:
    """The identities in a collection of entities."""
    held: Mapping[int, Any] = world.held
    seen: dict[tuple[int, Type], frozenset[Pair]] = {}

    def identities(value: Any, type_: Type) -> Collection[Pair]:
        if held.get(id(value)) is not value:
            return _plain_identities(value, type_)
        uids = seen.get((id(value), type_))
        if uids is None:
            uids = seen[id(value), type_] = frozenset(entity.uid for entity in elements(value, type_))
        return uids

    return identities


def _plain_identities(value: Any, type_: Any) -> Collection[Pair]:
    pairs: set[Pair] = set()
    if type(value) is not list:
        return {entity.uid for entity in guard(value, type_)}
    names = type_.element.names
    for each in value:
        kind, id_ = each["type"], each["id"]
        if type(each) is not dict or type(kind) is not str or type(id_) is not str or kind not in names:
            return {entity.uid for entity in guard(value, type_)}
        pairs.add((kind, id_))
    return pairs
