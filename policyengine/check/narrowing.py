"""What is known at a point of an expression: which attributes are present, and which types an entity can have.

A path names a place in the request: `("principal", "manager")`. Only what is certain is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policyengine.ir.nodes import Attribute, Const, EntityOf, Expr, Identity, Local, Refine, Root
from policyengine.model.values import Entity

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """`impossible` marks a point that evaluation never reaches, as where `false` must be true. The narrowing holds
    there, so that the expression there can be checked, but it does not count towards what is certain elsewhere."""

    present: frozenset[Path] = frozenset()
    types: Mapping[Path, frozenset[str]] = field(default_factory=dict)
    impossible: bool = False


NOTHING = Narrowing()
IMPOSSIBLE = Narrowing(impossible=True)


def both(left: Narrowing, right: Narrowing) -> Narrowing:
    """What is known when both hold."""
    if right is NOTHING:
        return left
    if left is NOTHING:
        return right
    impossible = left.impossible or right.impossible
    types = dict(left.types)
    for path, names in right.types.items():
        left_over = types[path] & names if path in types else names
        # If two sets of types exclude each other, what was learned last applies to what is read next.
        types[path] = left_over or names
        impossible = impossible or not left_over
    return Narrowing(left.present | right.present, types, impossible)


def either(left: Narrowing, right: Narrowing) -> Narrowing:
    """What is known when at least one holds."""
    if left.impossible or right.impossible:
        return right if left.impossible else left
    if left is NOTHING or right is NOTHING:
        return NOTHING
    shared = left.types.keys() & right.types.keys()
    return Narrowing(left.present & right.present, {path: left.types[path] | right.types[path] for path in shared})


def path_of(expr: Expr) -> Path | None:
    """The path that an expression reads, or None if it is not a plain path."""
    match expr:
        case Root(name=name):
            return (name,)
        case Const(value=Entity(uid=uid)):
            return (str(uid),)
        case Local(name=name, slot=slot):
            return (f"{name}#{slot}",)
        case EntityOf(name=name, id=id_):
            inner = path_of(id_)
            return (f"{name}::", *inner, "") if inner is not None else None
        case Identity(base=base):
            above = path_of(base)
            return (*above, "id") if above is not None else None
        case Refine(operand=operand):
            return path_of(operand)
        case Attribute(base=base, name=name):
            above = path_of(base)
            return (*above, name) if above is not None else None
    return None
