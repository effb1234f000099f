"""What is known of requests of one shape before any of them comes: their types, and which part is missing.

One entity of such a request, its resource or its principal, is unknown except for its type and some attributes. No
value of a request is in here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from policyengine.evaluate.interpret import Env
from policyengine.ir.nodes import (
    Arguments,
    Attribute,
    EntityOf,
    Equal,
    Expr,
    Has,
    Identity,
    Is,
    Local,
    Quantifier,
    Recorded,
    Root,
    Sources,
    Within,
)
from policyengine.ir.walk import children, walk
from policyengine.model.entities import PARENTS, World
from policyengine.model.request import Action, Request
from policyengine.model.values import Entity, Uid
from policyengine.partial.hierarchy import Hierarchy

# "nothing" is unknown in an agent's part of a search for principals.
Unknown = Literal["resource", "principal", "nothing"]

# What an expression reads: a variable's slot, or a root of the request and one of its attributes; EVERYTHING for any.
ReadPart = int | tuple[str, str]
EVERYTHING = "*"


# The expressions that read what is known of an entity.
_LOOKING = Attribute | Recorded | EntityOf | Has | Within


class Reads:
    """What expressions read, worked out once for each.

    It remembers by identity and keeps what it remembers alive, so it lives as long as the policies do."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Expr, frozenset[ReadPart]]] = {}

    def of(self, expr: Expr) -> frozenset[ReadPart]:
        known = self._known.get(id(expr))
        if known is None:
            known = self._known[id(expr)] = (expr, self._find(expr))
        return known[1]

    def _find(self, expr: Expr) -> frozenset[ReadPart]:
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
            case Sources(path=path):
                slots = frozenset[ReadPart](step.slot for step in path if isinstance(step, Local))
                return frozenset[ReadPart]({("resource", "args"), ("context", EVERYTHING)}) | slots
            case Equal(left=left, right=right):
                return self._compared(left) | self._compared(right)
            case Within(entity=Root(name=root), target=target):
                return frozenset({(root, "id"), (root, PARENTS)}) | self._compared(target)
            case Quantifier(slot=slot, collection=collection, body=body):
                return self.of(collection) | (self.of(body) - {slot})
        return frozenset[ReadPart]().union(*map(self.of, children(expr)))

    def _compared(self, expr: Expr) -> frozenset[ReadPart]:
        """An entity that is compared is read by its identity only."""
        return frozenset({(expr.name, "id")}) if isinstance(expr, Root) else self.of(expr)


@dataclass(frozen=True, slots=True)
class Gap:
    """The types of a request and the gap in it. `known` are names of attributes of the unknown entity whose values the
    caller states: these take precedence over the entity's own. "id" is among them if the id is known."""

    unknown: Unknown
    principal: str
    resource: str
    known: frozenset[str]
    world: World
    hierarchy: Hierarchy
    reads: Reads
    # The variables of enclosing quantifiers whose values the caller provides.
    slots: frozenset[int] = frozenset()

    @property
    def type(self) -> str:
        """The type of the unknown entity."""
        return self.resource if self.unknown == "resource" else self.principal

    def depends(self, expr: Expr) -> bool:
        """Whether the value of the expression needs the unknown entity."""
        for read in self.reads.of(expr):
            if isinstance(read, int):
                if read not in self.slots:
                    return True
            elif read[0] == self.unknown and read[1] not in self.known:
                return True
        return False

    def is_constant(self, expr: Expr) -> bool:
        """Whether the expression has the same value, or none, in every request of these types. What a request says of
        an entity that a policy names is not constant."""
        return not self.reads.of(expr) and not any(isinstance(part, _LOOKING) for part in walk(expr))

    @property
    def empty(self) -> Env:
        """The Env for constant expressions: a request with these types and nothing else."""
        principal, resource = (Entity(Uid(type_, ""), {}) for type_ in (self.principal, self.resource))
        return Env(Request(principal, Action("", {}), resource, {}), self.world)

    def binding(self, slot: int) -> Gap:
        return replace(self, slots=self.slots | {slot})
