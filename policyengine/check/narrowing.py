"""What is known at a point of an expression: which attributes are there, and which types an entity can have.

A path names a place in the request: `("principal", "manager")`. Facts only ever say what is certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policyengine.ir.nodes import Attribute, Const, Expr, Local, Refine, Root
from policyengine.model.values import Entity

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    present: frozenset[Path] = frozenset()
    types: Mapping[Path, frozenset[str]] = field(default_factory=dict)


NOTHING = Facts()
# What is known where evaluation never comes, as when `false` is true: anything, so it takes no part in what is certain.
IMPOSSIBLE = Facts(frozenset({("impossible",)}))


def both(left: Facts, right: Facts) -> Facts:
    """What is known when both hold."""
    if left is IMPOSSIBLE or right is IMPOSSIBLE:
        return IMPOSSIBLE
    if right is NOTHING:
        return left
    if left is NOTHING:
        return right
    types = dict(left.types)
    for path, names in right.types.items():
        types[path] = types[path] & names if path in types else names
    return Facts(left.present | right.present, types)


def either(left: Facts, right: Facts) -> Facts:
    """What is known when at least one holds."""
    if left is IMPOSSIBLE or right is IMPOSSIBLE:
        return right if left is IMPOSSIBLE else left
    if left is NOTHING or right is NOTHING:
        return NOTHING
    shared = left.types.keys() & right.types.keys()
    return Facts(left.present & right.present, {path: left.types[path] | right.types[path] for path in shared})


def path_of(expr: Expr) -> Path | None:
    """The path an expression reads, or None where it is no plain path."""
    match expr:
        case Root(name=name):
            return (name,)
        case Const(value=Entity(uid=uid)):
            return (str(uid),)
        case Local(name=name, slot=slot):
            return (f"{name}#{slot}",)
        case Refine(operand=operand):
            return path_of(operand)
        case Attribute(base=base, name=name):
            above = path_of(base)
            return (*above, name) if above is not None else None
    return None
