"""A condition with every known value filled in as a constant. It is equal to the original for every document.

Values without a literal, and expressions without a value, stay as they are. An entity is written by its name only if
nothing else about it matters, because its parents may have come with the request.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from policyengine.ir.fold import fold
from policyengine.ir.nodes import Call, Collection, Const, Contains, Equal, Expr, Has, Node, Quantifier, Root, Within
from policyengine.model.aggregates import total
from policyengine.model.fine_time import is_fine
from policyengine.model.types import (
    BOOL,
    DURATION,
    INT,
    IP,
    JSON,
    NUMBER,
    STRING,
    TIME,
    EntityT,
    ListT,
    Type,
    element_of,
    entity,
    join,
)
from policyengine.model.values import INT_MAX, INT_MIN, Entity
from policyengine.partial.gap import Gap
from policyengine.partial.gap_caller import NO_VALUE, GapCaller, value_of

# A longer collection is easier to read by its name.
MAX_ELEMENTS = 20


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the principal, or an agent that acts for it."""

    gap: Gap
    caller: GapCaller


def specialised(expr: Expr, actor: Actor) -> Expr:
    return fold(_known(expr, actor, False))


def _known(expr: Expr, actor: Actor, called: bool) -> Expr:
    """`called` is whether only the identity of entities matters here."""
    if isinstance(expr, Const):
        return expr
    if not actor.gap.depends(expr):
        value = value_of(expr, actor.caller)
        if value is NO_VALUE:
            return expr
        type_ = _literal_type(value, expr.type)
        if type_ is None or (_of_entities(type_) and not called):
            return expr
        return Const(value=_bare(value), type=type_, span=expr.span)
    if _undeclared(expr, actor):
        return Const(value=False, type=BOOL, span=expr.span)
    if isinstance(expr, Quantifier) and not actor.gap.depends(expr.collection):
        elements = value_of(expr.collection, actor.caller)
        if elements is not NO_VALUE and not elements:
            nothing = total((), expr.type) if expr.kind == "sum" else expr.kind == "all"
            return Const(value=nothing, type=expr.type, span=expr.span)
    return _rebuilt(expr, actor, called)


def _undeclared(expr: Expr, actor: Actor) -> bool:
    """Whether it reads an attribute that entities of the unknown one's type never have."""
    match expr:
        case Has(base=Root(name=name), owners=frozenset() as owners):
            return name == actor.gap.unknown and actor.gap.type not in owners
    return False


def _rebuilt(expr: Expr, actor: Actor, called: bool) -> Expr:
    changed: dict[str, Any] = {}
    for field in fields(expr):
        value = getattr(expr, field.name)
        named = _called(expr, field.name, called)
        if isinstance(value, Node):
            changed[field.name] = _known(value, actor, named)  # type: ignore[arg-type]
        elif isinstance(value, tuple) and value and isinstance(value[0], Node):
            changed[field.name] = tuple(_known(item, actor, named) for item in value)
    return replace(expr, **changed) if changed else expr


def _called(expr: Expr, part: str, called: bool) -> bool:
    """Whether only the identity of the entities in a part of the expression matters."""
    match expr:
        case Equal() | Contains() | Call(function="contains_any" | "contains_all"):
            return True
        case Within():
            return part == "target"
        case Collection():
            return called
    return False


def _of_entities(type_: Type) -> bool:
    element = element_of(type_)
    return isinstance(type_, EntityT) if element is None else _of_entities(element)


def _bare(value: Any) -> Any:
    """The value, with entities reduced to their identity."""
    if isinstance(value, Entity):
        return Entity(value.uid)
    return tuple(map(_bare, value)) if isinstance(value, tuple) else value


def _literal_type(value: Any, type_: Type) -> Type | None:
    """The type of the literal for a value; None if there is no literal with the same meaning."""
    match value:
        case bool():
            return BOOL if type_ == BOOL else None
        case str():
            return STRING if type_ == STRING else None
        case int():
            return INT if type_ in (INT, NUMBER) and INT_MIN <= value <= INT_MAX else None
        case float():
            return NUMBER if type_ == NUMBER else None
        case Entity(uid=uid):
            return entity(uid.type) if isinstance(type_, EntityT) else None
        case datetime():
            return TIME
        case timedelta():
            whole = value >= timedelta(0) and not is_fine(value) and not value % timedelta(milliseconds=1)
            return DURATION if whole else None
        case IPv4Address() | IPv6Address():
            return IP
        case tuple() if len(value) <= MAX_ELEMENTS:
            return _list_type(value, element_of(type_) or JSON)
    return None


def _list_type(value: tuple[Any, ...], element: Type) -> Type | None:
    whole: Type | None = None
    for item in value:
        one = _literal_type(item, element)
        whole = one if whole is None or one is None else join(whole, one)
        if whole is None:
            return None
    return ListT(whole or JSON)
