"""Types that restrict their values further: unions, constants, bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from policyengine.diagnostics import codes
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.suggest import did_you_mean, one_of
from policyengine.model.operators import pattern
from policyengine.model.refined import FORMATS
from policyengine.model.types import (
    BOOL,
    INT,
    JSON,
    NULL,
    NUMBER,
    STRING,
    EntityT,
    RefinedT,
    Type,
    element_of,
    is_numeric,
    unrefined,
)
from policyengine.model.values import Fault
from policyengine.syntax import ast
from policyengine.syntax.quoting import literal, string

_KINDS: Mapping[type, Type] = {bool: BOOL, int: INT, float: NUMBER, str: STRING}


def constant_type(value: ast.Literal) -> Type:
    """The type with this constant as its only value."""
    if value.value is None:
        return NULL
    constant: Any = value.value
    text = string(constant) if isinstance(constant, str) else literal(value)
    return RefinedT(_KINDS[type(constant)], text, values=(constant,))


def union(members: Sequence[Type]) -> Type:
    """The union of the types. Constants of one kind are read as that kind, entities as entities, anything else as
    Json."""
    parts = list(dict.fromkeys(members))
    if len(parts) == 1 and parts[0] != NULL:
        return parts[0]
    if all(isinstance(part, EntityT) for part in parts):
        return EntityT(frozenset().union(*(part.names for part in parts if isinstance(part, EntityT))))
    text = " | ".join(map(str, parts))
    bases = {part.base for part in parts if isinstance(part, RefinedT) and part.values is not None}
    constants = [part for part in parts if isinstance(part, RefinedT) and part.values is not None]
    if len(constants) == len(parts) and (len(bases) == 1 or all(map(is_numeric, bases))):
        base = bases.pop() if len(bases) == 1 else NUMBER
        return RefinedT(base, text, values=tuple(v for part in constants for v in part.values or ()))
    return RefinedT(JSON, text, members=tuple(parts))


def bounded(base: Type, bounds: tuple[ast.Bound, ...], diagnostics: list[Diagnostic]) -> Type:
    """The type within bounds; a finding for each bound that makes no sense."""
    known = _bounds_of(base)
    limits: dict[str, Any] = {}
    for bound in bounds:
        name = bound.name.text
        if name not in known:
            help_ = did_you_mean(name, known) or (f"known: {one_of(known)}" if known else "")
            diagnostics.append(Diagnostic(codes.WRONG_TYPE, bound.span, f"{base} has no bound `{name}`", "", help_))
        elif name in limits:
            diagnostics.append(Diagnostic(codes.DUPLICATE, bound.span, f"`{name}` is given twice"))
        elif problem := known[name](bound.value):
            diagnostics.append(Diagnostic(codes.BAD_CONSTANT, bound.value.span, problem))
        else:
            limits[name] = bound.value.value
    shown = ", ".join(f"{b.name.text}: {literal(b.value)}" for b in bounds if b.name.text in limits)
    return RefinedT(base, f"{base}({shown})", limits=tuple(sorted(limits.items()))) if limits else base


# Checks the constant of a bound: what is wrong with it, or an empty text.
_Try = Callable[[ast.Literal], str]


def _bounds_of(base: Type) -> Mapping[str, _Try]:
    read = unrefined(base)
    if is_numeric(read):
        return {"min": _number, "max": _number, "above": _number, "below": _number}
    if read == STRING:
        return {"min": _count, "max": _count, "search": _pattern, "format": _format}
    return {"min": _count, "max": _count} if element_of(read) is not None else {}


def _number(value: ast.Literal) -> str:
    return "" if value.kind == "number" else "a bound of numbers must be a number"


def _count(value: ast.Literal) -> str:
    fine = isinstance(value.value, int) and value.kind == "number" and value.value >= 0
    return "" if fine else "a size must be a whole number, and not negative"


def _pattern(value: ast.Literal) -> str:
    if not isinstance(value.value, str):
        return "a pattern must be a string"
    try:
        pattern(value.value)
    except Fault as fault:
        return fault.message
    return ""


def _format(value: ast.Literal) -> str:
    if isinstance(value.value, str) and value.value in FORMATS:
        return ""
    near = did_you_mean(str(value.value), FORMATS)
    return f"unknown format; {near or f'known: {one_of(FORMATS)}'}"
