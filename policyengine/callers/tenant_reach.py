"""Whether an answer may show something of another tenant.

A request names what belongs to its caller, but policies read on from there, and an explanation shows what they read. So
everything that can be reached is checked: whatever is mentioned, what the entity source knows of it, and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policyengine.callers.tenancy import ANYBODY, Tenancy, silent, tenant_of
from policyengine.model.entities import World
from policyengine.model.values import Uid
from policyengine.schema.schema import Schema

# Of more entities than this nobody looks whose they are: there may be others' among them.
MOST = 10_000


def reaches_others(tenant: str, tenancy: Tenancy, world: World, schema: Schema, values: Any) -> bool:
    """Whether anything that has the shape and the type of an entity, in these values or in what is known of those in
    them, is neither the tenant's nor shared. True where there is too much to tell."""
    seen: set[Uid] = set()
    todo = [values]
    while todo:
        value = todo.pop()
        if isinstance(value, list | tuple | set | frozenset):
            todo += value
        elif isinstance(value, Mapping):
            todo += value.values()
            type_, id_ = value.get("type"), value.get("id")
            if not isinstance(type_, str) or not isinstance(id_, str) or type_ not in schema.entities:
                continue
            named_tenant = tenant_of(value, tenancy, world)
            if named_tenant not in (tenant, ANYBODY) and not silent(named_tenant):
                return True
            uid = Uid(type_, id_)
            if uid in seen:
                continue
            if len(seen) >= MOST:
                return True
            seen.add(uid)
            todo += world.record(uid).values()
    return False
