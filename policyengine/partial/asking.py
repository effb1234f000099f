"""What is known of a request, and what is not.

One entity of the request, its resource or its principal, is known by its type alone, or by its type and some of its
attributes. Everything else is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import (
    Arguments,
    Attribute,
    Equal,
    Expr,
    Has,
    Identity,
    Is,
    Local,
    Quantifier,
    Root,
    Sources,
    Within,
)
from policyengine.ir.walk import children
from policyengine.model.entities import PARENTS, World
from policyengine.model.request import Request
from policyengine.model.values import Entity
from policyengine.partial.hierarchy import Hierarchy

Unknown = Literal["resource", "principal", "nothing"]


# What an expression reads: a variable's slot, or a root of the request and an attribute of it; EVERYTHING if any.
Reading = int | tuple[str, str]
EVERYTHING = "*"


class Reads:
    """What expressions read, each found out once.

    It remembers by identity and keeps what it remembers alive, so it lives as long as the policies do."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Expr, frozenset[Reading]]] = {}

    def of(self, expr: Expr) -> frozenset[Reading]:
        known = self._known.get(id(expr))
        if known is None:
            known = self._known[id(expr)] = (expr, self._find(expr))
        return known[1]

    def _find(self, expr: Expr) -> frozenset[Reading]:
        match expr:
            case Root(name=root):
                return frozenset({(root, EVERYTHING)})
            case Local(slot=slot):
                return frozenset({slot})
            case Attribute(base=Root(name=root), name=name) | Has(base=Root(name=root), name=name):
                return frozenset({(root, name)})
            case Identity(base=Root(name=root)):
                return frozenset({(root, "id")})
            case Is(entity=Root()):
                return frozenset()
            case Arguments():
                return frozenset({("resource", "id"), ("resource", "args"), ("context", EVERYTHING)})
            case Sources():
                return frozenset({("resource", "args"), ("context", EVERYTHING)})
            case Equal(left=left, right=right):
                return self._compared(left) | self._compared(right)
            case Within(entity=Root(name=root), target=target):
                return frozenset({(root, "id"), (root, PARENTS)}) | self._compared(target)
            case Quantifier(slot=slot, collection=collection, body=body):
                return self.of(collection) | (self.of(body) - {slot})
        return frozenset[Reading]().union(*map(self.of, children(expr)))

    def _compared(self, expr: Expr) -> frozenset[Reading]:
        """Entities are compared by what they are called."""
        return frozenset({(expr.name, "id")}) if isinstance(expr, Root) else self.of(expr)


@dataclass(frozen=True, slots=True)
class Asking:
    """A request with a gap. `request` holds an entity in the place of the unknown one that has what is known of it.

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
        for read in self.reads.of(expr):
            if isinstance(read, int):
                if read not in self.locals:
                    return True
            elif read[0] == self.unknown and read[1] not in self.known:
                return True
        return False

    def binding(self, slot: int, value: Any) -> Asking:
        return replace(self, locals={**self.locals, slot: value})
