"""Merges tests of one entity against several collections into one test.

In: the alternatives of an `or`, and what is prepared of them. Out: the same alternatives, where neighbouring tests
whether one entity is within a collection have become one: whether it is within any of them. Only prepared collections
are merged, since those have a value; otherwise the second could err although the first does not hold.
"""

from __future__ import annotations

from itertools import groupby

from policyengine.compile.prepare import Prepared
from policyengine.ir import nodes as ir
from policyengine.model.types import ListT, SetT


def merge_within(items: tuple[ir.Expr, ...], prepared: Prepared) -> tuple[ir.Expr, ...]:
    """The target of a merged test is a collection of collections."""
    merged: list[ir.Expr] = []
    for question, group in groupby(items, lambda item: _question(item, prepared)):
        run = tuple(group)
        if question is None or len(run) == 1:
            merged += run
            continue
        targets = tuple(item.target for item in run if isinstance(item, ir.Within))
        union = ir.Collection(targets, type=SetT(targets[0].type), span=targets[0].span)
        merged.append(ir.Within(question[0], union, type=run[0].type, span=run[0].span))
    return tuple(merged)


def _question(item: ir.Expr, prepared: Prepared) -> tuple[ir.Root, str] | None:
    """The entity that is searched for, and the root whose collection it is searched for in."""
    match item:
        case ir.Within(entity=ir.Root() as entity, target=ir.Attribute(type=SetT() | ListT()) as target):
            owner = prepared.root(target)
            return (entity, owner) if owner is not None and prepared.root(entity) not in (None, owner) else None
    return None


def is_union(target: ir.Expr) -> bool:
    """Whether a target was made by `merge_within`."""
    return isinstance(target.type, SetT) and isinstance(target.type.element, SetT | ListT)
