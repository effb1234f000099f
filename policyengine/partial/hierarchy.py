"""The entities below an entity, according to the entity source."""

from __future__ import annotations

from collections.abc import Iterable

from policyengine.bounded_cache import BoundedCache
from policyengine.model.entities import MAX_ANCESTORS, PARENTS, World
from policyengine.model.values import Uid, as_entity

# How many results are remembered.
MAX_CLOSED = 1_000


class Hierarchy:
    """The parents of a World, inverted once. Results are remembered."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._children: dict[Uid, list[Uid]] | None = None
        self._closed: BoundedCache[frozenset[Uid], frozenset[Uid]] = BoundedCache(MAX_CLOSED)

    def closed(self, targets: Iterable[Uid]) -> frozenset[Uid]:
        """The targets, and every entity of the source that is below one of them."""
        asked = frozenset(targets)
        known: frozenset[Uid] | None = self._closed.get(asked)
        if known is None:
            if self._children is None:
                self._children = self._read()
            seen, todo = set(asked), list(asked)
            while todo:
                for child in self._children.get(todo.pop(), ()):
                    if child not in seen:
                        seen.add(child)
                        todo.append(child)
            known = self._closed[asked] = frozenset(seen)
        return known

    @property
    def bounded(self) -> bool:
        """Whether no entity can have more ancestors than the limit, according to the source: then the entities below
        another one are exactly those that are in it."""
        if self._children is None:
            self._children = self._read()
        return len(self._children) <= MAX_ANCESTORS // 2

    def _read(self) -> dict[Uid, list[Uid]]:
        children: dict[Uid, list[Uid]] = {}
        for type_, by_id in self._world.records.items():
            for id_, record in by_id.items():
                for parent in record.get(PARENTS, ()):
                    children.setdefault(as_entity(parent).uid, []).append(Uid(type_, id_))
        return children
