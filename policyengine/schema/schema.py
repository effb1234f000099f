"""What exists: entity types, actions, tools, context roots and obligations, as a bundle declares them.

A schema is a frozen value. Names are global to a bundle (they are the names on the wire); which module declared a
name decides who may write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from policyengine.diagnostics.source import Span
from policyengine.model.types import EntityT, ListT, RecordField, RecordT, RefinedT, SetT, Type, element_of, record
from policyengine.schema.tool_result import Returned

# The action and the type of resource for which declared tools are closed.
CALL, TOOL = "call", "Tool"


@dataclass(frozen=True, slots=True)
class EntityType:
    name: str
    module: str
    span: Span = field(compare=False)
    parents: frozenset[str] = frozenset()
    attributes: Mapping[str, RecordField] = field(default_factory=dict)
    # Names that only the entity source may give, perhaps including `parents`.
    sourced: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ActionType:
    """`resources` and `principals` are None if any type is allowed."""

    name: str
    modules: frozenset[str]
    span: Span = field(compare=False)
    attributes: Mapping[str, RecordField] = field(default_factory=dict)
    resources: frozenset[str] | None = None
    principals: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class ToolType:
    """A declared tool: its typed arguments, facts that no request can override, and what it returns."""

    name: str
    module: str
    span: Span = field(compare=False)
    args: RecordT
    facts: Mapping[str, Any] = field(default_factory=dict)
    returns: Returned | None = None


@dataclass(frozen=True, slots=True)
class ContextRoot:
    name: str
    module: str
    span: Span = field(compare=False)
    field: RecordField


@dataclass(frozen=True, slots=True)
class ObligationType:
    """A kind of obligation, with its properties in the order for values without a name."""

    name: str
    module: str
    span: Span = field(compare=False)
    params: tuple[tuple[str, RecordField], ...]


@dataclass(frozen=True, slots=True)
class NamedType:
    """A name for a type: `type Money: { ... }`."""

    name: str
    module: str
    span: Span = field(compare=False)
    type: Type


@dataclass(frozen=True, slots=True)
class Schema:
    entities: Mapping[str, EntityType] = field(default_factory=dict)
    actions: Mapping[str, ActionType] = field(default_factory=dict)
    tools: Mapping[str, ToolType] = field(default_factory=dict)
    context: Mapping[str, ContextRoot] = field(default_factory=dict)
    obligations: Mapping[str, ObligationType] = field(default_factory=dict)
    types: Mapping[str, NamedType] = field(default_factory=dict)
    # Whether the context of a request may only have declared members.
    closed_context: bool = False
    # By entity type, where entities can be mentioned; filled on first use.
    _places: dict[str, tuple[tuple[str, Type], ...]] = field(default_factory=dict, compare=False, repr=False)
    # By entity type, the names that `members.py` found.
    found_names: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def places_of(self, type_: str) -> tuple[tuple[str, Type], ...]:
        """The attributes of an entity of the type that can mention entities, each with its type."""
        known = self._places.get(type_)
        if known is None:
            declared = self.entities.get(type_)
            if declared is None:
                return ()
            fields = ((name, one.type) for name, one in declared.attributes.items())
            parents: tuple[str, Type] = ("parents", ListT(EntityT(self.every_type())))
            known = (parents, *(each for each in fields if mentions(each[1])))
            self._places[type_] = known
        return known

    def every_type(self) -> frozenset[str]:
        return frozenset(self.entities)

    def resources_of(self, action: str) -> frozenset[str]:
        resources = self.actions[action].resources
        return self.every_type() if resources is None else resources

    def principals_of(self, action: str) -> frozenset[str]:
        principals = self.actions[action].principals
        return self.every_type() if principals is None else principals

    def declaring(self, names: frozenset[str], attribute: str) -> frozenset[str]:
        """Those of the entity types that declare the attribute."""
        return frozenset(n for n in names if attribute in self.entities[n].attributes)

    def ancestors_of(self, name: str) -> frozenset[str]:
        """Every entity type that an entity of this type can be in, at any distance."""
        seen: set[str] = set()
        todo = list(self.entities[name].parents)
        while todo:
            parent = todo.pop()
            if parent not in seen:
                seen.add(parent)
                todo.extend(self.entities[parent].parents)
        return frozenset(seen)

    def context_type(self, visible: frozenset[str]) -> RecordT:
        """The context as a record, as far as the given modules declare it."""
        return record({name: root.field for name, root in self.context.items() if root.module in visible})


def mentions(type_: Type) -> bool:
    """Whether a value of the type can mention entities. Json cannot."""
    match type_:
        case EntityT():
            return True
        case SetT() | ListT():
            return mentions(element_of(type_) or type_)
        case RecordT(fields):
            return any(mentions(one.type) for _, one in fields)
        case RefinedT(base=base):
            return mentions(base)
    return False


def either(left: frozenset[str] | None, right: frozenset[str] | None) -> frozenset[str] | None:
    """The types of either; None stands for all types."""
    return None if left is None or right is None else left | right


def entity_names(type_: Type) -> frozenset[str]:
    return type_.names if isinstance(type_, EntityT) else frozenset()
