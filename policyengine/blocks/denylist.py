"""The list of blocks that a node decides with.

A request is stopped if anyone who acts in it, the tenant of any of them, the tool or model that it is about, or its
session is blocked. A list that could not be read for too long stops everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from policyengine.blocks.block import Block
from policyengine.diagnostics import codes
from policyengine.evaluate.combine import denied
from policyengine.evaluate.delegation import actors
from policyengine.model.decision import Decision, RuleError
from policyengine.model.entities import World
from policyengine.model.request import Request, request
from policyengine.model.types import STRING
from policyengine.model.values import Entity, Fault
from policyengine.partial.formula import FALSE, ID, Formula, Relation
from policyengine.partial.logic import conj
from policyengine.schema.schema import Schema

_Name = tuple[str, str]
_RESOURCES = {"Tool": "tool", "Model": "model"}


# The tenants of a request: those of everyone who acts in it, and its own. Each is a text, or a reference.
FindTenants = Callable[[Request, World], Iterable[Any]]


def attribute_tenant(request: Request, world: World) -> Iterator[Any]:
    """The tenants where the built-in module declares them: the attribute `tenant`, and the context's root of that
    name."""
    yield _found(world, request.principal)
    yield request.context.get("tenant")


class Denylist:
    """Never changes. `is_over` says whether a block has ended; `unknown` is whether the list could not be read."""

    def __init__(
        self,
        blocks: Iterable[Block] = (),
        unknown: bool = False,
        is_over: Callable[[Block], bool] = lambda _: False,
        tenants: FindTenants = attribute_tenant,
    ) -> None:
        self.unknown = unknown
        self._tenants = tenants
        self._is_over = is_over
        self._blocks: dict[_Name, list[Block]] = {}
        for block in blocks:
            self._blocks.setdefault((block.kind, block.id), []).append(block)

    def with_tenants(self, tenants: FindTenants) -> Denylist:
        """The same list, which finds the tenants of a request with this function."""
        every = [block for same in self._blocks.values() for block in same]
        return Denylist(every, self.unknown, self._is_over, tenants)

    @property
    def is_empty(self) -> bool:
        return not self._blocks and not self.unknown

    def blocks(self) -> list[Block]:
        """What is blocked now."""
        return [block for same in self._blocks.values() for block in same if not self._is_over(block)]

    def denial(
        self, principal: Any, action: Any, resource: Any, context: Any, world: World, schema: Schema, revision: str
    ) -> Decision | None:
        """The denial of a request that is stopped; None for any other, and for malformed requests."""
        if self.unknown:
            return _denied(codes.BLOCKS_UNKNOWN.id, "the list of blocks cannot be read", revision)
        try:
            everyone = actors(request(principal, action, resource, context), world, schema)
        except Fault:
            # A malformed request is denied anyway.
            return None
        return self.denial_of(everyone, world, revision)

    def denial_of(self, everyone: Sequence[Request], world: World, revision: str) -> Decision | None:
        """The same for a request as each actor makes it."""
        if self.unknown:
            return _denied(codes.BLOCKS_UNKNOWN.id, "the list of blocks cannot be read", revision)
        for kind, type_, id_ in _names(everyone, world, self._tenants):
            if (block := self._find(kind, type_, id_)) is not None:
                return _of(block, revision)
        return None

    def session(self, id_: str, revision: str) -> Decision | None:
        """The denial of everything that is asked in this session."""
        block = self._find("session", "Session", id_)
        return None if block is None else _of(block, revision)

    def narrowed(self, formula: Formula, type_: str) -> Formula:
        """The formula for resources of a type, and that the resource is not blocked."""
        if self.unknown:
            return FALSE
        if not self._blocks:
            return formula
        kind = _RESOURCES.get(type_)
        stopped = [b.id for b in self.blocks() if b.kind == kind and b.type in ("", type_)]
        return conj(formula, *(Relation(ID, STRING, "!=", id_) for id_ in sorted(set(stopped))))

    def _find(self, kind: str, type_: str, id_: str) -> Block | None:
        for block in self._blocks.get((kind, id_), ()):
            if block.type in ("", type_) and not self._is_over(block):
                return block
        return None


NOBODY = Denylist()


def _names(everyone: Sequence[Request], world: World, tenants: FindTenants) -> Iterator[tuple[str, str, str]]:
    """The kind, type and id of everything in a request that may be blocked."""
    first = everyone[0]
    for number, asked in enumerate(everyone):
        who = asked.principal.uid
        yield "principal", who.type, who.id
        if number or who.type == "Agent":
            yield "agent", who.type, who.id
        for tenant in tenants(asked, world):
            yield from _tenant(tenant)
    resource = first.resource.uid
    if (kind := _RESOURCES.get(resource.type)) is not None:
        yield kind, resource.type, resource.id
    session = first.context.get("session")
    if isinstance(session, Mapping) and isinstance(session.get("id"), str):
        yield "session", "Session", session["id"]


def _found(world: World, who: Entity) -> Any:
    try:
        return world.find(who, "tenant")
    except Fault:
        return None


def _tenant(value: Any) -> Iterator[tuple[str, str, str]]:
    """A tenant is named by its id, or is an entity."""
    if isinstance(value, str):
        yield "tenant", "Tenant", value
    elif isinstance(value, Mapping) and isinstance(value.get("id"), str):
        yield "tenant", str(value.get("type", "Tenant")), value["id"]


def _of(block: Block, revision: str) -> Decision:
    said = f"the {block.kind} is blocked"
    return _denied(codes.BLOCKED.id, said, revision, f"{said}: {block.why}" if block.why else said)


def _denied(code: str, message: str, revision: str, reason: str = "") -> Decision:
    denial = denied(RuleError("", code, message), revision)
    return Decision("deny", reasons=(reason or message,), errors=denial.errors, revision=revision)
