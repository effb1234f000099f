"""What a request may contain according to a schema: the names in its context and in its entities, and who acts for
whom."""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.model.entities import PARENTS
from policyengine.model.types import EntityT
from policyengine.schema.schema import Schema

DELEGATED_BY = "delegated_by"


def context_names(schema: Schema) -> frozenset[str]:
    return frozenset({*schema.context, "agent", "provenance"})


@dataclass(frozen=True, slots=True)
class EntityNames:
    """The names that an entity of one type may have (`members`): its attributes, and those for its identity and its
    place in hierarchies. Those of them that only the entity source may give (`sourced`). And those whose absence goes
    unnoticed (`weighty`): a missing required attribute is an error in the rules that read it."""

    members: frozenset[str]
    sourced: frozenset[str]
    weighty: frozenset[str]


_UNDECLARED = EntityNames(frozenset({"type", "id", PARENTS}), frozenset(), frozenset({PARENTS}))


def names_of(type_: str, schema: Schema) -> EntityNames:
    """The names that an entity of a type may have."""
    known: EntityNames | None = schema.found_names.get(type_)
    if known is None:
        declared = schema.entities.get(type_)
        if declared is None:
            return _UNDECLARED
        fields = declared.attributes
        weighty = (name for name, field in fields.items() if field.optional or name == DELEGATED_BY)
        members = frozenset({"type", "id", PARENTS, *fields})
        known = schema.found_names[type_] = EntityNames(members, declared.sourced, frozenset({PARENTS, *weighty}))
    return known


def agent_types(schema: Schema) -> frozenset[str] | None:
    """The types that an agent may have; None if the schema does not say."""
    root = schema.context.get("agent")
    return root.field.type.names if root is not None and isinstance(root.field.type, EntityT) else None


def delegators(type_: str, schema: Schema) -> frozenset[str] | None:
    """The types of those who may have delegated to an entity of this type; None if it does not declare
    `delegated_by`."""
    declared = schema.entities.get(type_)
    field = declared.attributes.get(DELEGATED_BY) if declared is not None else None
    return field.type.names if field is not None and isinstance(field.type, EntityT) else None
