"""What is known of a request, and what is not.

One entity of the request, its resource or its principal, is known by its type alone, or by its type and some of its
attributes. Everything else is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import Expr, Local, Root, Sources
from policyengine.ir.walk import children
from policyengine.model.entities import World
from policyengine.model.request import Request
from policyengine.model.values import Entity
from policyengine.partial.hierarchy import Hierarchy

Unknown = Literal["resource", "principal", "nothing"]


class Reads:
    """What expressions read: whether a root, and which quantifiers' variables from outside. Each is found out once.

    It remembers by identity and keeps what it remembers alive, so it lives as long as the policies do."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Expr, frozenset[str | int]]] = {}

    def of(self, expr: Expr) -> frozenset[str | int]:
        known = self._known.get(id(expr))
        if known is None:
            known = self._known[id(expr)] = (expr, self._find(expr))
        return known[1]

    def _find(self, expr: Expr) -> frozenset[str | int]:
        if isinstance(expr, Root):
            return frozenset({expr.name})
        if isinstance(expr, Local):
            return frozenset({expr.slot})
        found = frozenset[str | int]().union(*map(self.of, children(expr)))
        if isinstance(expr, Sources):
            return found | {"resource", "context"}
        return found - {slot} if (slot := getattr(expr, "slot", None)) is not None else found


@dataclass(frozen=True, slots=True)
class Asking:
    """A request with a gap. `request` holds an entity without attributes in the place of the unknown one.

    `known` are attributes of the unknown entity that win over what it says of itself, "id" among them if that is known.
    """

    request: Request
    unknown: Unknown
    world: World
    hierarchy: Hierarchy
    reads: Reads
    known: Mapping[str, Any] = field(default_factory=dict)
    locals: Mapping[int, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The type of the unknown entity."""
        return self.entity.uid.type

    @property
    def entity(self) -> Entity:
        """The unknown entity, as far as it is known."""
        return self.request.resource if self.unknown == "resource" else self.request.principal

    @property
    def env(self) -> Env:
        return Env(self.request, self.world, self.locals)

    def depends(self, expr: Expr) -> bool:
        """Whether the expression has to wait for what is not known."""
        return any(
            read == self.unknown or (read.__class__ is int and read not in self.locals) for read in self.reads.of(expr)
        )

    def binding(self, slot: int, value: Any) -> Asking:
        return replace(self, locals={**self.locals, slot: value})
