"""Whether a request can be used as it is: merging what it says about each entity would change nothing that rules read,
and the names in the entities that it mentions need no check.

In: the schema, and the rules about an action and a type of resource. Out: a function that accepts nearly all requests,
and never accepts one for which `schema/mentions.py` or `schema/misspelt_names.py` would do anything.
`native/mentions.c` accepts plain requests by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any

from policyengine.compile.vetted_names import VettedNames
from policyengine.ir.footprint import footprint
from policyengine.ir.nodes import Rule
from policyengine.model.entities import PARENTS
from policyengine.model.types import EntityT, ListT, RecordT, RefinedT, SetT, Type
from policyengine.model.values import Uid
from policyengine.schema.members import DELEGATED_BY
from policyengine.schema.mentions import AGENT, places
from policyengine.schema.schema import TOOL, Schema, mentions

# If a request mentions more entities than this, all of them are checked in full.
MOST = 64
Pair = tuple[str, str]


def read_through(rules: Iterable[Rule]) -> frozenset[str]:
    """The types of entity other than principal and resource of which rules read more than the identity."""
    return frozenset().union(*(footprint(rule).through for rule in rules))


@dataclass(frozen=True, slots=True)
class MentionCheck:
    """`single` takes a principal, a resource, a context or None and the action's attributes. The other fields are its
    data: where entities of each type mention others, None for places that only Python looks at; the context attributes
    that mention any; the types that rules read through; the names that entities of each type may have; and whether the
    attributes of an action can mention any."""

    single: Callable[[Any, Any, Any, Any], bool]
    places: dict[str, tuple[str, ...] | None]
    roots: tuple[str, ...]
    through: frozenset[str]
    members: dict[str, set[str]]
    acts: bool

    def apart(self, principal: str, resource: str) -> Apart | None:
        """A quick test that a request of these types is single; None if there is none."""
        own = self.places.get(principal), self.places.get(resource)
        if own[0] is None or own[1] is None:
            return None
        types = frozenset(self.places) - {principal, resource}
        return Apart(own[0], own[1], types, principal == resource, frozenset(self.roots), self.acts)


@dataclass(frozen=True, slots=True)
class Apart:
    """Entities of types that are neither the principal's nor the resource's. If these two refer to others by type and
    id alone, only to entities of the types apart, and nothing else mentions any, then no entity has a second mention
    that adds anything. `principal` and `resource` are their attributes that mention others, `alike` is whether both are
    of one type, and the rest is as in `MentionCheck`."""

    principal: tuple[str, ...]
    resource: tuple[str, ...]
    types: frozenset[str]
    alike: bool
    roots: frozenset[str]
    acts: bool

    def refers(self, value: Any) -> bool:
        """Whether a value is a reference to an entity of a type apart, or a list of them. May raise for other
        values."""
        for each in value if type(value) is list else (value,):
            if type(each) is not dict or len(each) != 2:
                return False
            of_type = each["type"]
            if type(of_type) is not str or type(each["id"]) is not str or of_type not in self.types:
                return False
        return True


def look(schema: Schema, vetted_names: VettedNames, action: str, through: frozenset[str]) -> MentionCheck:
    roots: dict[str, Type] = {n: root.field.type for n, root in schema.context.items() if mentions(root.field.type)}
    if AGENT not in schema.context:
        roots[AGENT] = EntityT(schema.every_type())
    declared = schema.actions.get(action)
    of_action = {n: f.type for n, f in declared.attributes.items() if mentions(f.type)} if declared else {}
    tools = any(mentions(tool.args) for tool in schema.tools.values())

    def single(principal: Any, resource: Any, context: Any, attributes: Any) -> bool:
        seen = _Seen(schema, vetted_names, through, tools)
        try:
            seen.entity(principal, always=True)
            seen.entity(resource, always=True)
            for given, types in ((context, roots), (attributes, of_action)):
                for name in given or ():
                    if name in types:
                        seen.value(given[name], types[name], always=False)
            return seen.single()
        except Unsure:
            return False

    simple = {type_: None if tools and type_ == TOOL else _simple(schema, type_) for type_ in schema.entities}
    return MentionCheck(
        single, simple, tuple(map(intern, sorted(roots))), through, vetted_names.by_type, bool(of_action)
    )


def _simple(schema: Schema, type_: str) -> tuple[str, ...] | None:
    """The attributes that mention entities, if each is a reference or a plain collection of them."""
    mentioning = schema.places_of(type_)
    return (
        tuple(intern(name) for name, _ in mentioning) if all(_is_reference(type_) for _, type_ in mentioning) else None
    )


def _is_reference(type_: Type) -> bool:
    return isinstance(type_.element if isinstance(type_, SetT | ListT) else type_, EntityT)


class Unsure(Exception):
    """Something in the request needs the full check."""


class _Seen:
    """The mentions of one request: those with attributes, and those that only name their entity."""

    __slots__ = ("_full", "_named", "_schema", "_through", "_todo", "_tools", "_vetted_names")

    def __init__(self, schema: Schema, vetted_names: VettedNames, through: frozenset[str], tools: bool) -> None:
        self._schema, self._vetted_names, self._through, self._tools = schema, vetted_names, through, tools
        self._full: list[Pair] = []
        self._named: list[Pair] = []
        self._todo: list[tuple[Pair, Mapping[str, Any]]] = []

    def entity(self, value: Any, always: bool) -> None:
        """A mention. One that only names an entity matters where rules read through it, or `always`."""
        if type(value) is not dict:
            raise Unsure
        pair = value["type"], value["id"]
        if type(pair[0]) is not str or type(pair[1]) is not str or pair[0] not in self._schema.entities:
            raise Unsure
        if len(value) == 2:
            if always or pair[0] in self._through:
                self._named.append(pair)
            return
        if len(self._full) == MOST or not value.keys() <= self._vetted_names.members(pair[0]):
            raise Unsure
        self._full.append(pair)
        self._todo.append((pair, value))

    def value(self, value: Any, type_: Type, always: bool) -> None:
        match type_:
            case EntityT():
                self.entity(value, always)
            case SetT(element) | ListT(element) if mentions(element):
                if type(value) not in (list, tuple):
                    raise Unsure
                for item in value:
                    self.value(item, element, always)
            case RecordT(fields):
                if type(value) is not dict:
                    raise Unsure
                for name, field in fields:
                    if name in value:
                        self.value(value[name], field.type, always)
            case RefinedT(base=base):
                self.value(value, base, always)

    def single(self) -> bool:
        while self._todo:
            pair, entity = self._todo.pop()
            mentioning: Collection[tuple[str, Type]] = self._schema.places_of(pair[0])
            if self._tools and pair[0] == TOOL:
                mentioning = places(Uid(*pair), self._schema)
            for name, type_ in mentioning:
                if name in entity:
                    self.value(entity[name], type_, name in (PARENTS, DELEGATED_BY))
        # Has attributes in two places, or in one and is only named in another: only `schema/mentions.py` can merge
        # these.
        known = set(self._full)
        return len(known) == len(self._full) and known.isdisjoint(self._named)
