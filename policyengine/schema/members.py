"""What a request may say, as a schema has it: the names in its context and in its entities, and who acts for whom."""

from __future__ import annotations

from policyengine.model.entities import PARENTS
from policyengine.model.types import EntityT
from policyengine.schema.schema import Schema

DELEGATED_BY = "delegated_by"


def context_names(schema: Schema) -> frozenset[str]:
    return frozenset({*schema.context, "agent", "provenance"})


def members(type_: str, schema: Schema) -> frozenset[str]:
    """What an entity of a type may have: its attributes, and what says who it is and where it stands."""
    declared = schema.entities.get(type_)
    return frozenset({"type", "id", PARENTS, *(declared.attributes if declared is not None else ())})


def sourced(type_: str, schema: Schema) -> frozenset[str]:
    """What only the entity source may say of an entity of a type."""
    declared = schema.entities.get(type_)
    return declared.sourced if declared is not None else frozenset()


def weighty(type_: str, schema: Schema) -> frozenset[str]:
    """Of the names that an entity of a type may have, those without which something is silently not so. Where a
    required attribute is missing, rules that read it say so."""
    declared = schema.entities.get(type_)
    fields = declared.attributes if declared is not None else {}
    return frozenset({PARENTS, *(name for name, field in fields.items() if field.optional or name == DELEGATED_BY)})


def agent_types(schema: Schema) -> frozenset[str] | None:
    """The types that an agent may be of; None if the schema does not say."""
    root = schema.context.get("agent")
    return root.field.type.names if root is not None and isinstance(root.field.type, EntityT) else None


def delegators(type_: str, schema: Schema) -> frozenset[str] | None:
    """The types of those that entities of a type may have got their task from; None if it does not declare
    `delegated_by`."""
    declared = schema.entities.get(type_)
    field = declared.attributes.get(DELEGATED_BY) if declared is not None else None
    return field.type.names if field is not None and isinstance(field.type, EntityT) else None
