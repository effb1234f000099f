"""What is known about entities apart from a request, and the hierarchy above an entity.

A World is frozen data: the records of an entity source, with the policies' own facts on top. An attribute that it
states takes precedence; a request may only add others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import count
from typing import Any

from policyengine.diagnostics import codes
from policyengine.model.values import Entity, Fault, Uid, as_entity

MAX_ANCESTORS = 100_000
PARENTS = "parents"
ABSENT: Any = object()


class World:
    """Records by type and id. A record is a mapping of attributes; `parents` is a list of references."""

    __slots__ = ("_count", "_numbers", "faults", "held", "known_ancestors", "ordered", "records")

    def __init__(self, records: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None) -> None:
        self.records: Mapping[str, Mapping[str, Mapping[str, Any]]] = records or {}
        # The ancestors of known entities, each found once. Filling it is idempotent, so threads need no lock.
        self.known_ancestors: dict[Uid, frozenset[Uid]] = {}
        # For entities whose ancestors cannot be determined, the reason.
        self.faults: dict[Uid, Fault] = {}
        # The ids of each type in order, for searches through all of them.
        self.ordered: dict[str, list[str]] = {}
        self._numbers: dict[Uid, int] = {}
        self._count = count()
        # The lists among the attributes, by identity: what was found out about one of these stays true.
        self.held: dict[int, Any] = {
            id(value): value
            for by_id in self.records.values()
            for record in by_id.values()
            for value in record.values()
            if type(value) is list
        }

    def number(self, uid: Uid) -> int:
        """A unique number for an identity, always the same. Numbers compare faster."""
        known_number = self._numbers.get(uid)
        # If several threads add one, all get the number of the first.
        return self._numbers.setdefault(uid, next(self._count)) if known_number is None else known_number

    def record(self, uid: Uid) -> Mapping[str, Any]:
        """What is known of an entity; empty if nothing is."""
        by_id = self.records.get(uid.type)
        return by_id.get(uid.id, _EMPTY) if by_id is not None else _EMPTY

    def known(self, type_: str, id_: str) -> Entity:
        """The entity of this type and id. Raises Fault if nothing is known of it, not even that it exists."""
        if id_ not in self.records.get(type_, ()):
            raise Fault(codes.NOT_KNOWN.id, f"the entity source knows no such `{type_}`")
        return Entity(Uid(type_, id_))

    def recorded(self, entity: Entity, name: str, owners: Collection[str] | None) -> Any:
        """The value of an attribute that is known apart from the request. Raises Fault if there is none."""
        value = self.record(entity.uid).get(name, ABSENT) if owners is None or entity.uid.type in owners else ABSENT
        if value is ABSENT:
            raise Fault(codes.NOT_KNOWN.id, f"the entity source has no `{name}` here")
        return value

    def find(self, entity: Entity, name: str) -> Any:
        """The attribute's value, or ABSENT: the record first, then what came with the request."""
        uid = entity.uid
        by_id = self.records.get(uid.type)
        # Of most entities nothing is known.
        if by_id is not None and uid.id in by_id:
            value = by_id[uid.id].get(name, ABSENT)
            if value is not ABSENT:
                return value
        return entity.attributes.get(name, ABSENT)

    def ancestors(self, entity: Entity) -> frozenset[Uid]:
        """Everything above the entity, at any distance. Raises Fault if a `parents` on the way is malformed."""
        if PARENTS in self.record(entity.uid):
            above = self.known_ancestors.get(entity.uid)
            if above is None:
                above = self.known_ancestors[entity.uid] = self._ancestors_once(entity)
            return above
        return self._find_ancestors(entity)

    def _ancestors_once(self, entity: Entity) -> frozenset[Uid]:
        """The ancestors of a known entity, which never change; nor does the Fault if they cannot be determined."""
        known = self.faults.get(entity.uid)
        if known is not None:
            raise Fault(known.code, known.message)
        try:
            return self._find_ancestors(entity)
        except Fault as fault:
            self.faults[entity.uid] = fault
            raise

    def _find_ancestors(self, entity: Entity) -> frozenset[Uid]:
        seen: set[Uid] = set()
        todo, records, new = [entity], self.records, tuple.__new__
        while todo:
            for parent in self._listed(todo.pop()):
                # Most parents are only references, and most of those have no record: they lead no further, and need no
                # Entity.
                if type(parent) is dict and len(parent) == 2:
                    type_, id_ = parent.get("type"), parent.get("id")
                    if type(type_) is str and type(id_) is str and id_ not in records.get(type_, _EMPTY):
                        seen.add(new(Uid, (type_, id_)))
                        continue
                above = as_entity(parent)
                if above.uid not in seen:
                    seen.add(above.uid)
                    todo.append(above)
            if len(seen) > MAX_ANCESTORS:
                raise Fault(codes.NESTED_TOO_DEEP.id, f"an entity has more than {MAX_ANCESTORS} ancestors")
        return frozenset(seen)

    def _listed(self, entity: Entity) -> Iterable[Any]:
        """The parents of an entity. Raises Fault if they are not a list."""
        parents = self.find(entity, PARENTS)
        if parents is ABSENT:
            return ()
        if type(parents) not in (list, tuple):
            raise Fault(codes.MALFORMED.id, "`parents` is a list of entities")
        listed: Iterable[Any] = parents
        return listed


_EMPTY: Mapping[str, Any] = {}


def world(entities: Iterable[Mapping[str, Any]], facts: Iterable[tuple[Uid, Mapping[str, Any]]] = ()) -> World:
    """A World from flat entities (`{"type", "id", ...attributes}`), with facts that win over them. Raises Fault for an
    entity without textual type and id, one given twice, or malformed `parents`."""
    records: dict[str, dict[str, dict[str, Any]]] = {}
    for item in entities:
        uid = as_entity(item).uid
        if uid.id in records.setdefault(uid.type, {}):
            raise Fault(codes.BAD_ENTITIES.id, f"`{uid}` is given twice")
        attributes = {k: v for k, v in item.items() if k not in ("type", "id")}
        records[uid.type][uid.id] = attributes
    for uid, stated in facts:
        records.setdefault(uid.type, {}).setdefault(uid.id, {}).update(stated)
    built = World(records)
    for type_, by_id in records.items():
        for id_ in by_id:
            for parent in built._listed(Entity(Uid(type_, id_))):
                as_entity(parent)
    return built
