"""What an expression is, seen from a request with a gap: a known value, an error, or a value of the unknown entity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from policyengine.evaluate.interpret import EvaluationError, evaluate
from policyengine.ir.nodes import Attribute, Const, Expect, Expr, Identity, Root
from policyengine.model.types import JSON, STRING, RecordT, Type
from policyengine.model.values import Fault, guard
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
        case Identity(base=base):
            inner = reading(base, asking)
            if isinstance(inner, Itself):
                return Known(asking.known["id"]) if "id" in asking.known else Read(ID, STRING)
            return _again(expr, inner, asking) if isinstance(inner, Known | Erring) else Beyond()
        case Attribute(base=base, name=name, owners=owners, type=type_):
            inner = reading(base, asking)
            if isinstance(inner, Itself):
                if owners is not None and asking.type not in owners:
                    return Erring()
                return _guarded(asking.known[name], type_) if name in asking.known else Read((name,), type_)
            if isinstance(inner, Read) and (inner.type == JSON or isinstance(inner.type, RecordT)):
                return Read((*inner.path, name), type_)
            return _again(expr, inner, asking) if isinstance(inner, Known | Erring) else Beyond()
        case Expect(operand=operand, type=type_):
            inner = reading(operand, asking)
            if isinstance(inner, Read) and inner.type == JSON:
                return Read(inner.path, type_)
            return _again(expr, inner, asking) if isinstance(inner, Known | Erring) else Beyond()
    return Beyond()


def value_of(expr: Expr, asking: Asking) -> Known | Erring:
    """The value of an expression that does not depend on the unknown entity."""
    try:
        return Known(evaluate(expr, asking.env))
    except EvaluationError:
        return Erring()


def _guarded(value: Any, type_: Type) -> Known | Erring:
    try:
        return Known(guard(value, type_))
    except Fault:
        return Erring()


def _again(expr: Attribute | Identity | Expect, inner: Known | Erring, asking: Asking) -> Known | Erring:
    """The expression, once its operand is known after all."""
    if isinstance(inner, Erring):
        return inner
    operand = expr.operand if isinstance(expr, Expect) else expr.base
    constant = Const(value=inner.value, type=operand.type, span=operand.span)
    known = replace(expr, operand=constant) if isinstance(expr, Expect) else replace(expr, base=constant)
    return value_of(known, asking)
