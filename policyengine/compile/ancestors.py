"""Finds the ancestors of the principal or the resource, once for all rules of a function.

In: all targets for which the rules search the hierarchy above a root, if they are known beforehand. Out: statements
that assign the targets that are ancestors to `above_principal` or `above_resource`; these may contain other ancestors
as well.
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
    """A search above a root. `targets` are the entities to search for; None stands for all."""

    root: str
    targets: frozenset[Uid] | None

    @property
    def name(self) -> str:
        return "above_" + self.root


def lookups_of(roots: Collection[str], emitter: Emitter) -> tuple[AncestorLookup, ...]:
    return tuple(AncestorLookup(root, emitter.targets.get(root)) for root in sorted(roots))


def look_up(lookups: Iterable[AncestorLookup], emitter: Emitter) -> list[ast.stmt]:
    """Statements that search above the principal or the resource."""
    body: list[ast.stmt] = []
    for lookup in lookups:
        if lookup.targets is None:
            above: ast.expr = call("ancestors", load(lookup.root), emitter.known(lookup.root))
        else:
            above = emitter.ancestors_among(lookup.root, lookup.targets)
        body.append(assign(lookup.name, above))
    return body
