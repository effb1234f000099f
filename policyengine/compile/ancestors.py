"""What is above the principal or the resource, found out once for all rules of a function.

In: all that the rules ask of the hierarchy above a root, if that is known beforehand. Out: statements that leave under
the name `above_principal` or `above_resource` which of these are above it, and perhaps others that are.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from policyengine.compile.emit import Emitter
from policyengine.compile.pytree import assign, call, load
from policyengine.model.values import Uid


@dataclass(frozen=True, slots=True)
class AncestorLookup:
    """A look at what is above a root. `targets` are what is asked for, None for everything."""

    root: str
    targets: frozenset[Uid] | None

    @property
    def name(self) -> str:
        return "above_" + self.root


def lookups_of(roots: Collection[str], emitter: Emitter) -> tuple[AncestorLookup, ...]:
    return tuple(AncestorLookup(root, emitter.targets.get(root)) for root in sorted(roots))


def look_up(lookups: Iterable[AncestorLookup], emitter: Emitter) -> list[ast.stmt]:
    """Statements that look at what is above the principal or the resource."""
    body: list[ast.stmt] = []
    for lookup in lookups:
        if lookup.targets is None:
            above: ast.expr = call("ancestors", load(lookup.root), emitter.known(lookup.root))
        else:
            above = emitter.ancestors_among(lookup.root, lookup.targets)
        body.append(assign(lookup.name, above))
    return body
