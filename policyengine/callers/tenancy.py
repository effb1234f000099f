"""The tenant of an entity; and the rule that a caller of one tenant neither asks for nor learns about another.

Where the tenant is found is declared: in an attribute, or in the part of an id before a separator; and for the request
as a whole, in a context root. `problems` reports what in a schema does not fit, when policies are loaded.

What the entity source knows takes precedence over what a request says. If the source knows entities of a type, unknown
ones are refused like those of another tenant: a caller that could tell the two apart would learn which entities exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from policyengine.callers.binding import NotYours
from policyengine.callers.caller import Caller
from policyengine.model.entities import World
from policyengine.model.request import Request
from policyengine.model.types import STRING
from policyengine.model.values import Uid
from policyengine.schema.schema import Schema, entity_names

Entity = Mapping[str, Any]
_MESSAGE = "the {} does not belong to the caller's tenant"
_MOST_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Tenancy:
    """Where the tenant of an entity stands. Raises ValueError for what cannot be meant.

    attribute: the attribute that has it. `attributes` has others for some types.
    separator: or, the id begins with it, up to this text.
    type: the entity type of tenants themselves; None if there is none.
    context: the context root that is the tenant of a request; None if there is none.
    shared: the entity types that belong to nobody, such as models.
    """

    attribute: str | None = "tenant"
    attributes: Mapping[str, str] | None = None
    separator: str | None = None
    type: str | None = "Tenant"
    context: str | None = "tenant"
    shared: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if (self.attribute is None) == (self.separator is None):
            raise ValueError(
                "a tenant is found in an attribute, or before a separator in the id: set exactly one of them"
            )
        if "" in (self.attribute, self.separator, self.type, self.context):
            raise ValueError("a name is not empty")
        if self.attributes and self.attribute is None:
            raise ValueError("attributes of types cannot be set if the tenant is in the id")

    def attribute_of(self, type_: str) -> str | None:
        return (self.attributes or {}).get(type_, self.attribute)


def problems(tenancy: Tenancy, schema: Schema) -> list[str]:
    """What a schema has against this; empty if it fits. Every entity type has a tenant, is one, or is shared."""
    misfits = [f"`{name}` is not an entity type" for name in sorted(tenancy.shared - schema.every_type())]
    for name, type_ in sorted(schema.entities.items()):
        attribute = tenancy.attribute_of(name)
        if name in tenancy.shared or name == tenancy.type or attribute is None:
            continue
        field = type_.attributes.get(attribute)
        if field is None:
            misfits.append(
                f"entity type `{name}` has no attribute `{attribute}`: declare it, or list the type as shared"
            )
        elif field.type != STRING:
            misfits.append(f"attribute `{attribute}` of entity type `{name}` is not text")
    if tenancy.context is not None and tenancy.context in schema.context:
        names = entity_names(schema.context[tenancy.context].field.type)
        if tenancy.type is None or names != {tenancy.type}:
            misfits.append(f"context root `{tenancy.context}` is not of the type that tenants have")
    return misfits


def own_parts(
    caller: Caller, tenancy: Tenancy, world: World, schema: Schema, parts: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The context of a request, with the caller's tenant filled in, if all entities in the request are its own or
    shared. `parts` are `principal`, `action`, `resource` and `context`; one without `id` is the gap of a search. Raises
    NotYours. A caller that is bound to no tenant may ask about any."""
    context: Mapping[str, Any] = parts["context"]
    if caller.tenant is None:
        return context
    for name in ("principal", "resource"):
        entity = parts[name]
        if "id" in entity and tenant_of(entity, tenancy, world) not in (caller.tenant, ANYBODY):
            raise NotYours(_MESSAGE.format("subject" if name == "principal" else name))
    inside = _Inside(caller.tenant, tenancy, world, schema)
    for name, place in (
        ("principal", "subject"),
        ("action", "action"),
        ("resource", "resource"),
        ("context", "context"),
    ):
        inside.check(parts[name], place)
    root = tenancy.context
    if root is None or root not in schema.context:
        return context
    if root in context:
        said = context[root]
        if not isinstance(said, Mapping) or (said.get("type"), said.get("id")) != (tenancy.type, caller.tenant):
            raise NotYours(_MESSAGE.format("context"))
        return context
    return {**context, root: {"type": tenancy.type, "id": caller.tenant}}


ANYBODY = object()  # whose a shared entity is
_NOBODY = object()


def tenant_of(entity: Entity, tenancy: Tenancy, world: World) -> object:
    """The tenant of an entity: a text, ANYBODY for one of a shared type, or something that is not a tenant."""
    type_, id_ = entity.get("type"), entity.get("id")
    if not isinstance(type_, str) or not isinstance(id_, str):
        return _NOBODY
    if type_ in tenancy.shared:
        return ANYBODY
    if type_ == tenancy.type:
        return id_
    attribute = tenancy.attribute_of(type_)
    if attribute is None:
        assert tenancy.separator is not None
        tenant, separator, _ = id_.partition(tenancy.separator)
        return tenant if separator else _NOBODY
    known = world.record(Uid(type_, id_))
    if known or id_ in world.records.get(type_, {}):
        return known.get(attribute, _NOBODY)
    if world.records.get(type_):
        return _NOBODY
    return entity.get(attribute, _SILENT)


def tenants_of(tenancy: Tenancy) -> Callable[[Request, World], Iterator[Any]]:
    """What tells the tenants of a request: that of whoever acts in it, and that of the request as a whole."""

    def told(asked: Request, world: World) -> Iterator[Any]:
        who = asked.principal
        tenant = tenant_of({**who.attributes, "type": who.uid.type, "id": who.uid.id}, tenancy, world)
        attribute = tenancy.attribute_of(who.uid.type)
        # What it says of itself counts as well: that can stop it, and nothing else.
        for each in (tenant, who.attributes.get(attribute) if attribute is not None else None):
            if isinstance(each, str):
                yield {"type": tenancy.type or "Tenant", "id": each}
        if tenancy.context is not None:
            yield asked.context.get(tenancy.context)

    return told


_SILENT = object()


def silent(found: object) -> bool:
    """Whether `tenant_of` found that nobody says whose an entity is, and nobody knows."""
    return found is _SILENT


@dataclass(frozen=True, slots=True)
class _Inside:
    """Checks what is within the parts of a request: whatever has the shape and the type of an entity."""

    tenant: str
    tenancy: Tenancy
    world: World
    schema: Schema

    def check(self, value: Any, place: str, depth: int = 0) -> None:
        """A reference that is silent about its tenant is fine, if nobody knows better. Raises NotYours."""
        if depth > _MOST_DEPTH:
            raise NotYours(f"the {place} is nested too deeply to determine its tenant")
        if isinstance(value, Mapping):
            if depth and value.get("type") in self.schema.entities and isinstance(value.get("id"), str):
                tenant = tenant_of(value, self.tenancy, self.world)
                if tenant not in (self.tenant, ANYBODY, _SILENT):
                    raise NotYours(_MESSAGE.format(place))
            for each in value.values():
                self.check(each, place, depth + 1)
        elif isinstance(value, list | tuple):
            for each in value:
                self.check(each, place, depth + 1)
