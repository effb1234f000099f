"""What an expression is in relation to a gap: a value of the caller, a value of the unknown entity, or something that
depends on both.
"""

from __future__ import annotations

from dataclasses import dataclass

from policyengine.ir.nodes import Attribute, Expect, Expr, Identity, Root
from policyengine.model.types import JSON, STRING, RecordT, Type
from policyengine.partial.formula import ID, Path
from policyengine.partial.gap import Gap


@dataclass(frozen=True, slots=True)
class GivenValue:
    """The caller or the policy determines its value, or that it has none."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Erring:
    """It has no value, whatever the unknown entity is."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A value of the unknown entity, guarded to be of the type."""

    path: Path
    type: Type


@dataclass(frozen=True, slots=True)
class Itself:
    """The unknown entity."""


@dataclass(frozen=True, slots=True)
class Computed:
    """A value computed from the unknown entity."""


Operand = GivenValue | Erring | Sought | Itself | Computed


def operand(expr: Expr, gap: Gap) -> Operand:
    if not gap.depends(expr):
        return GivenValue(expr)
    match expr:
        case Root():
            return Itself()
        case Identity(base=Root()):
            return Sought(ID, STRING)
        case Attribute(base=Root(), name=name, owners=owners, type=type_):
            return Erring() if owners is not None and gap.type not in owners else Sought((name,), type_)
        case Attribute(base=base, name=name, type=type_):
            inner = operand(base, gap)
            if isinstance(inner, Sought) and (inner.type == JSON or isinstance(inner.type, RecordT)):
                return Sought((*inner.path, name), type_)
        case Expect(operand=of, type=type_):
            # Its type is Json, or a collection of Json.
            inner = operand(of, gap)
            if isinstance(inner, Sought):
                return Sought(inner.path, type_)
    return Computed()
