"""What is above the principal of a request, found without making an entity of each of its parents.

It is what `World.ancestors` says, which is also asked wherever parents are not plain references.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from policyengine.model.entities import MAX_ANCESTORS, PARENTS, World
from policyengine.model.values import Entity, Fault, Uid

Pair = tuple[str, str]


class Above:
    """Remembers what is at or above each entity of a World: of these there are no more than it has."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reached: dict[Pair, frozenset[Uid] | None] = {}

    def of(self, entity: Entity) -> Collection[Pair]:
        """Everything above the entity, as identities. Raises Fault as `World.ancestors` does."""
        world, uid = self._world, entity.uid
        record = world.record(uid)
        if PARENTS in record:
            known = world.climbed.get(uid)
            if known is None:
                found = self._together(record)
                known = world.ancestors(entity) if found is None else frozenset(map(Uid._make, found))
                world.climbed[uid] = known
            return known
        if PARENTS not in entity.attributes:
            return frozenset()
        found = self._together(entity.attributes)
        return world.ancestors(entity) if found is None else found

    def _together(self, stated: Mapping[str, Any]) -> set[Pair] | None:
        """What is at or above the stated parents; None if they are not plainly that."""
        parents, records = stated[PARENTS], self._world.records
        if parents.__class__ is not list:
            return None
        found: set[Pair] = set()
        for parent in parents:
            if parent.__class__ is not dict or PARENTS in parent:
                return None
            type_, id_ = parent.get("type"), parent.get("id")
            if type_.__class__ is not str or id_.__class__ is not str:
                return None
            if type_ in records and id_ in records[type_]:
                near = self._reach((type_, id_))
                if near is None:
                    return None
                found |= near
            else:
                found.add((type_, id_))
        return found if len(found) <= MAX_ANCESTORS else None

    def _reach(self, pair: Pair) -> frozenset[Uid] | None:
        if pair not in self._reached:
            self._reached[pair] = self._reach_of(Uid(*pair))
        return self._reached[pair]

    def _reach_of(self, uid: Uid) -> frozenset[Uid] | None:
        """A known entity and all above it. None where what references say of their own parents matters: that depends on
        which of them is come to first."""
        try:
            every = self._world.ancestors(Entity(uid, {})) | {uid}
        except Fault:
            return None
        stated = (parent for each in every for parent in self._world.record(each).get(PARENTS, ()))
        return None if any(PARENTS in parent for parent in stated) else every
