"""Mentions of one entity in one request are one entity.

A request mentions entities: its principal and resource, the entities in its context, and those that attributes of an
entity type refer to, at any depth. All mentions of one entity are merged: parents are united, and an attribute with
different values is an error where it is read. The order of mentions does not matter.

The principal and the circumstances are stated by the caller; the content of a resource often comes from someone else.
So there are two kinds of mentions. What the principal and the context say of an entity applies to all its mentions.
What the resource, its arguments or the action say of one applies only to mentions in the resource or the action, and
adds nothing to the principal, an agent or the tenant. Json mentions no entities, because its content is not declared.

In: a request. Out: one in which every mention of an entity has everything that is said of it. Pure, and linear in the
request.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, NamedTuple

from policyengine.model.entities import PARENTS
from policyengine.model.request import Request
from policyengine.model.types import EntityT, ListT, RecordT, RefinedT, SetT, Type
from policyengine.model.values import DIFFERING, MAX_DEPTH, Entity, Fault, Mention, Uid, as_entity, is_text, plain_text
from policyengine.schema.schema import TOOL, Schema, mentions

MentionContent = Mapping[str, Any]
# The most values of an entity that are compared to tell whether two mentions are equal; larger ones count as different.
MAX_COMPARED = 10_000
_IDENTITY = frozenset({"type", "id"})
AGENT = "agent"


class Mentioned(NamedTuple):
    """Some mentions: by entity, those with content; and the entities that are only named."""

    contents: dict[Uid, list[MentionContent]]
    named: AbstractSet[tuple[str, str]]


class Mentions:
    """The mentions in a request. `own` are those of the principal and the context, `others` those of the resource and
    the action. Each is collected on first use."""

    __slots__ = ("_found", "_found_others", "_request", "_schema")

    def __init__(self, request: Request, schema: Schema) -> None:
        self._request, self._schema = request, schema
        # `cached_property` takes a lock for each, which costs as much as a small request.
        self._found: Mentioned | None = None
        self._found_others: Mentioned | None = None

    @property
    def own(self) -> Mentioned:
        mentioned = self._found
        if mentioned is None:
            mentioned = self._found = _Collecting(self._schema).all(self._own())
        return mentioned

    @property
    def others(self) -> Mentioned:
        mentioned = self._found_others
        if mentioned is None:
            resource = self._request.resource
            if resource.attributes.keys() <= _IDENTITY and not self._request.action.attributes:
                # The resource is only named, as in a search for resources.
                mentioned = Mentioned({}, {resource.uid})
            else:
                mentioned = _Collecting(self._schema).all(self._others())
            self._found_others = mentioned
        return mentioned

    def of(self, request: Request) -> Mentions:
        """The mentions of a request about another resource, with the same principal and context."""
        made = Mentions(request, self._schema)
        made._found = self.own
        return made

    def united(self) -> Request:
        """The request with everything that it says of an entity at each mention; the same object if that changes
        nothing."""
        asked, together = self._request, self._together()
        if together is None:
            return asked
        context = {
            **asked.context,
            **{name: together.value(asked.context[name], type_, True) for name, type_ in self._roots()},
        }
        places = self._action_places()
        attributes = {n: together.value(asked.action.attributes[n], t, False) for n, t in places}
        action = replace(asked.action, attributes={**asked.action.attributes, **attributes}) if places else asked.action
        principal = Entity(asked.principal.uid, together.whole(asked.principal.uid, True))
        resource = Entity(asked.resource.uid, together.whole(asked.resource.uid, False))
        together.finish()
        return Request(principal, action, resource, context, together.contradicts)

    def resource(self) -> Entity:
        """The resource of the united request, without the work for the rest of it."""
        asked, together = self._request.resource, self._together()
        if together is None:
            return asked
        made = Entity(asked.uid, together.whole(asked.uid, False))
        together.finish()
        return made

    def _together(self) -> _Together | None:
        """Merges what is said of each entity; None if that changes nothing."""
        if not (_differ(self.own, _NONE) or _differ(self.others, self.own)):
            return None
        return _Together(self._schema, self.own.contents, self.others.contents)

    def _own(self) -> Iterator[tuple[Any, Type | None]]:
        yield self._request.principal, None
        for name, type_ in self._roots() if self._request.context else ():
            yield self._request.context[name], type_

    def _others(self) -> Iterator[tuple[Any, Type | None]]:
        yield self._request.resource, None
        for name, type_ in self._action_places():
            yield self._request.action.attributes[name], type_

    def _roots(self) -> list[tuple[str, Type]]:
        context, declared = self._request.context, self._schema.context
        roots = [(name, declared[name].field.type) for name in context if type(name) is str and name in declared]
        if AGENT in context and AGENT not in declared:
            # The agent acts for the principal, even if no type is declared for it.
            roots.append((AGENT, EntityT(self._schema.every_type())))
        return [(name, type_) for name, type_ in roots if mentions(type_)]

    def _action_places(self) -> list[tuple[str, Type]]:
        action = self._request.action
        declared = self._schema.actions.get(action.name)
        if declared is None or not action.attributes:
            return []
        fields = [(name, one.type) for name, one in declared.attributes.items() if name in action.attributes]
        return [(name, type_) for name, type_ in fields if mentions(type_)]


def united(request: Request, schema: Schema) -> Request:
    """The request with everything that it says of an entity at each mention of it."""
    return Mentions(request, schema).united()


def places(uid: Uid, schema: Schema) -> Sequence[tuple[str, Type]]:
    """Where an entity can mention others. The arguments of a declared tool have types of their own."""
    where = schema.places_of(uid.type)
    if uid.type == TOOL and uid.id in schema.tools and mentions(schema.tools[uid.id].args):
        return (*(place for place in where if place[0] != "args"), ("args", schema.tools[uid.id].args))
    return where


# ---- collecting ----


class _Collecting:
    """Collects the mentions in values of known types, in linear time."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._said: dict[Uid, list[MentionContent]] = {}
        self._named: set[tuple[str, str]] = set()
        self._seen: set[int] = set()
        self._left: list[Entity] = []

    def all(self, values: Iterator[tuple[Any, Type | None]]) -> Mentioned:
        for value, type_ in values:
            if type_ is None:
                self._mention(value)
            else:
                self._look(value, type_)
        while self._left:
            entity = self._left.pop()
            attributes = entity.attributes
            # In Python, one object may be in several places, and even in itself.
            if id(attributes) not in self._seen:
                self._seen.add(id(attributes))
                self._said.setdefault(entity.uid, []).append(attributes)
                for name, type_ in places(entity.uid, self._schema):
                    if name in attributes:
                        self._look(attributes[name], type_)
        return Mentioned(self._said, self._named)

    def _mention(self, entity: Entity) -> None:
        # An entity with only its identity mentions no others.
        if entity.attributes.keys() <= _IDENTITY:
            self._named.add(entity.uid)
        else:
            self._left.append(entity)

    def _look(self, value: Any, type_: Type) -> None:
        """Notes the entities that a value of the type mentions directly."""
        match type_:
            case EntityT(names):
                entity = entity_of(value, names)
                if entity is not None:
                    self._mention(entity)
            case SetT(EntityT(names)) | ListT(EntityT(names)):
                self._look_at_each(value if type(value) in (list, tuple) else (), names)
            case SetT(element) | ListT(element):
                for item in value if mentions(element) and type(value) in (list, tuple) else ():
                    self._look(item, element)
            case RecordT(fields):
                for name, field in fields if type(value) is dict else ():
                    if name in value and mentions(field.type):
                        self._look(value[name], field.type)
            case RefinedT(base=base):
                self._look(value, base)

    def _look_at_each(self, values: Iterable[Any], names: frozenset[str]) -> None:
        named = self._named
        for value in values:
            # Nearly all are references, and need no Entity.
            if type(value) is dict and len(value) == 2:
                of_type, id_ = value.get("type"), value.get("id")
                if type(of_type) is str and type(id_) is str:
                    if of_type in names:
                        named.add((of_type, id_))
                    continue
            entity = entity_of(value, names)
            if entity is not None:
                self._mention(entity)


def entity_of(value: Any, names: frozenset[str]) -> Entity | None:
    """The entity in a value, if it is of one of these types."""
    try:
        entity = as_entity(value)
    except Fault:
        return None
    return entity if entity.uid.type in names else None


_NONE = Mentioned({}, frozenset())


def _differ(some: Mentioned, others: Mentioned) -> bool:
    """Whether the mentions of any entity in `some`, together with those in `others`, are not all equal."""
    for uid, said in some.contents.items():
        if uid in some.named or uid in others.named:
            return True
        every = [*said, *others.contents.get(uid, ())]
        if len(every) > 1 and len({_Written().of(_rest(one)) for one in every}) > 1:
            return True
    # An entity that is only named here may have content there.
    return not some.named.isdisjoint(others.contents)


def _rest(said: MentionContent) -> MentionContent:
    return {name: value for name, value in said.items() if name not in _IDENTITY}


# ---- putting together ----


class _Together:
    """Everything that is said of each entity, by whether the mention is the caller's own."""

    def __init__(
        self, schema: Schema, own: Mapping[Uid, list[MentionContent]], others: Mapping[Uid, list[MentionContent]]
    ) -> None:
        self._schema, self._own, self._others = schema, own, others
        self._merged: dict[tuple[Uid, bool], dict[str, Any]] = {}
        self._todo: list[tuple[Uid, bool]] = []
        self.contradicts = False

    def whole(self, uid: Uid, own: bool) -> dict[str, Any]:
        """The attributes. They are complete only at the end, because entities may mention each other in circles."""
        made = self._merged.get((uid, own))
        if made is None:
            made = self._merged[uid, own] = {"type": uid.type, "id": uid.id}
            self._todo.append((uid, own))
        return made

    def finish(self) -> None:
        while self._todo:
            uid, own = self._todo.pop()
            contents = [*self._own.get(uid, ()), *(() if own else self._others.get(uid, ()))]
            if len(contents) == 1:
                self._copy(contents[0], uid, own)
                continue
            types = dict(places(uid, self._schema))
            declared = self._schema.entities.get(uid.type)
            fields = declared.attributes if declared is not None else {}
            for name in sorted({n for one in contents for n in one if type(n) is str and n not in _IDENTITY}):
                values = [one[name] for one in contents if name in one]
                if name == PARENTS:
                    self._merged[uid, own][name] = self._parents(values, own)
                    continue
                type_ = types.get(name) or (fields[name].type if name in fields else None)
                self._merged[uid, own][name] = self._one(values, type_, own)

    def _copy(self, content: MentionContent, uid: Uid, own: bool) -> None:
        """The content of a single mention: merging is only needed in places that can mention others."""
        merged = self._merged[uid, own]
        merged.update([each for each in content.items() if type(each[0]) is str and each[0] not in _IDENTITY])
        if PARENTS in merged:
            merged[PARENTS] = self._parents([merged[PARENTS]], own)
        for name, type_ in places(uid, self._schema):
            if name in merged and name != PARENTS:
                merged[name] = self.value(merged[name], type_, own)

    def value(self, value: Any, type_: Type | None, own: bool) -> Any:
        """A value, with everything that is said of the entities that it mentions."""
        match type_:
            case EntityT(names):
                entity = entity_of(value, names)
                return value if entity is None else self._mention(entity, own)
            case SetT(element) | ListT(element) if type(value) in (list, tuple) and mentions(element):
                return [self.value(item, element, own) for item in value]
            case RecordT(fields) if type(value) is dict:
                inner = [(n, field.type) for n, field in fields if n in value and mentions(field.type)]
                return {**value, **{name: self.value(value[name], each, own) for name, each in inner}}
            case RefinedT(base=base):
                return self.value(value, base, own)
        return value

    def _mention(self, entity: Entity, own: bool) -> Mention:
        sent = entity.attributes
        return Mention(Entity(entity.uid, self.whole(entity.uid, own)), sent)

    def _one(self, values: list[Any], type_: Type | None, own: bool) -> Any:
        if len(values) > 1:
            if len({_Written().of(value, type_) for value in values}) > 1:
                self.contradicts = True
                return DIFFERING
            # Sets may be written in any order.
            values = sorted(values, key=lambda value: _Written().of(value))
        return self.value(values[0], type_, own)

    def _parents(self, values: list[Any], own: bool) -> Any:
        parents: dict[Uid, Entity] = {}
        for value in values:
            if type(value) not in (list, tuple):
                return value
            for each in value:
                try:
                    parent = as_entity(each)
                except Fault:
                    # Evaluation reports it as malformed.
                    return [each]
                parents[parent.uid] = parent
        return [self._mention(parents[uid], own) for uid in sorted(parents)]


class _Written:
    """Values as texts: the same text for the same value. An entity is represented by its identity if its type is an
    entity type, and a set by its elements in any order. A value that is not JSON, too large or too deep equals only
    itself."""

    def __init__(self) -> None:
        self._left = MAX_COMPARED

    def of(self, value: Any, type_: Type | None = None, depth: int = MAX_DEPTH) -> str:
        self._left -= 1
        if self._left < 0 or depth == 0:
            return f"?{id(value)}"
        kind = type(value)
        if type_ is not None:
            typed = self._typed(value, type_, depth)
            if typed is not None:
                return typed
        if value is None or kind is bool or kind is float:
            return f"{kind.__name__}{value}"
        if kind is int:
            return hex(value)
        if is_text(value):
            text = plain_text(value)
            self._left -= len(text) // 64
            return f"s{len(text)}:{text}"
        if kind in (list, tuple):
            return f"[{','.join([self.of(item, None, depth - 1) for item in value])}]"
        if kind in (set, frozenset):
            return f"{{{','.join(sorted([self.of(item, None, depth - 1) for item in value]))}}}"
        if kind is dict:
            parts = [
                f"{self.of(name, None, depth - 1)}={self.of(each, None, depth - 1)}" for name, each in value.items()
            ]
            return f"({','.join(sorted(parts))})"
        return f"?{id(value)}"

    def _typed(self, value: Any, type_: Type, depth: int) -> str | None:
        kind = type(value)
        match type_:
            case EntityT(names):
                entity = entity_of(value, names)
                return None if entity is None else f"e{self.of(entity.uid.type)}{self.of(entity.uid.id)}"
            case SetT(element) if kind in (list, tuple, set, frozenset):
                return f"{{{','.join(sorted({self.of(item, element, depth - 1) for item in value}))}}}"
            case ListT(element) if kind in (list, tuple):
                return f"[{','.join([self.of(item, element, depth - 1) for item in value])}]"
            case RecordT(fields) if kind is dict:
                types = {name: field.type for name, field in fields}
                own = {name: types[name] for name in value if type(name) is str and name in types}
                inner = [(self.of(n, None, depth - 1), self.of(v, own.get(n), depth - 1)) for n, v in value.items()]
                return f"({','.join(f'{name}={each}' for name, each in sorted(inner))})"
            case RefinedT(base=base):
                return self.of(value, base, depth)
        return None
