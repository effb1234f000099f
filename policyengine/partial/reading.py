"""What an expression is, seen from a request with a gap: a known value, an error, or a value of the unknown entity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.ir.nodes import Attribute, Expect, Expr, Identity, Root
from policyengine.model.types import JSON, STRING, RecordT, Type
from policyengine.partial.asking import Asking
from policyengine.partial.formula import ID, Path


@dataclass(frozen=True, slots=True)
class Known:
    value: Any


@dataclass(frozen=True, slots=True)
class Erring:
    """It has no value, whatever the unknown entity may be."""


@dataclass(frozen=True, slots=True)
class Read:
    """A value of the unknown entity, guarded to be of the type."""

    path: Path
    type: Type


@dataclass(frozen=True, slots=True)
class Itself:
    """The unknown entity."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """Something computed from the unknown entity."""


Reading = Known | Erring | Read | Itself | Beyond


def reading(expr: Expr, asking: Asking) -> Reading:
    if not asking.depends(expr):
        return value_of(expr, asking)
    match expr:
        case Root():
            return Itself()
        case Identity(base=Root()):
            return Read(ID, STRING)
        case Attribute(base=Root(), name=name, owners=owners, type=type_):
            return Erring() if owners is not None and asking.type not in owners else Read((name,), type_)
        case Attribute(base=base, name=name, type=type_):
            inner = reading(base, asking)
            if isinstance(inner, Read) and (inner.type == JSON or isinstance(inner.type, RecordT)):
                return Read((*inner.path, name), type_)
        case Expect(operand=operand, type=type_):
            # Of type Json, or a collection of it.
            inner = reading(operand, asking)
            if isinstance(inner, Read):
                return Read(inner.path, type_)
    return Beyond()


def value_of(expr: Expr, asking: Asking) -> Known | Erring:
    """The value of an expression that does not depend on the unknown entity."""
    try:
        return Known(evaluate(expr, asking.env))
    except EvaluationError:
        return Erring()
