"""What is above the principal or the resource, found out once for all rules of a function.

In: all that the rules ask of the hierarchy above a root, if that is known beforehand. Out: statements that leave under
the name `above_principal` or `above_resource` which of these are above it, and perhaps others that are.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from policyengine.evaluate.emit import Emitter
from policyengine.evaluate.pytree import assign, call, load
from policyengine.model.values import Uid


@dataclass(frozen=True, slots=True)
class Climb:
    """A look at what is above a root. `targets` are what is asked for, None for everything."""

    root: str
    targets: frozenset[Uid] | None

    @property
    def name(self) -> str:
        return "above_" + self.root


def climbs_of(roots: Collection[str], emitter: Emitter) -> tuple[Climb, ...]:
    return tuple(Climb(root, emitter.targets.get(root)) for root in sorted(roots))


def hierarchies(climbs: Iterable[Climb], emitter: Emitter) -> list[ast.stmt]:
    """Statements that look at what is above the principal or the resource."""
    body: list[ast.stmt] = []
    for climb in climbs:
        if climb.targets is None:
            above: ast.expr = call("ancestors", load(climb.root), emitter.known(climb.root))
        else:
            above = emitter.above_of(climb.root, climb.targets)
        body.append(assign(climb.name, above))
    return body
