"""Whether expressions or rules mean the same, wherever they are.

`key` is a digest of an expression; `same_rule` compares rules except for their names and the names of variables.
"""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from policyengine.ir.nodes import Const, Expr, LimitSpec, Local, Node, Quantifier, Root, Rule
from policyengine.ir.write_rule import parts
from policyengine.model.types import BOOL, EntityT, ListT, Prim, RecordT, RefinedT, SetT, Type, element_of
from policyengine.model.values import Entity

_SCALARS = frozenset({str, int, float, bool, type(None)})
_TYPES = (Prim, SetT, ListT, RecordT, EntityT, RefinedT)
_pack = msgspec.msgpack.Encoder().encode


def key(expr: Expr) -> bytes:
    """A digest of an expression: expressions that differ only in their place have equal keys."""
    plain = _plain_data(expr)
    try:
        packed = _pack(plain)
    except UnicodeEncodeError:
        # A text may contain half of a surrogate pair if a program made it.
        packed = repr(plain).encode()
    return blake2b(packed, digest_size=16).digest()


def _plain_data(value: Any) -> Any:
    """The value as plain data, without places."""
    cls = value.__class__
    if cls in _SCALARS:
        return value
    if cls is tuple:
        return [_plain_data(item) for item in value]
    if cls in _TYPES:
        return str(value)
    if isinstance(value, Node):
        return [cls.__name__, *(_plain_data(getattr(value, name)) for name in _names(cls))]
    if cls is frozenset:
        return sorted((_plain_data(item) for item in value), key=repr)
    return [cls.__name__, str(value.uid if cls is Entity else value)]


@cache
def _names(cls: type[Node]) -> tuple[str, ...]:
    return tuple(each.name for each in fields(cls) if each.name != "span")


def same_rule(a: Rule, b: Rule) -> bool:
    """Whether the rules are of one kind, and have the same head, condition and obligations."""
    return _outline(a) == _outline(b) and [_canonical(p, {}) for p in parts(a)] == [_canonical(p, {}) for p in parts(b)]


def _outline(rule: Rule) -> object:
    """The rule without its name and its expressions."""
    nothing = Const(value=True, type=BOOL, span=rule.span)
    owed = [(spec.type, [name for name, _ in spec.properties]) for spec in rule.obligations]
    limit = None if rule.limit is None else _limit_shape(rule.limit)
    return replace(rule, name="", condition=nothing, obligations=(), limit=None), owed, limit


def _limit_shape(limit: LimitSpec) -> object:
    ends = limit.block_for, limit.fails_open, limit.alert_at, limit.advisory, limit.share, limit.over
    return limit.per, limit.of is None, len(limit.by), limit.zone, ends


def _canonical(expr: Expr, slots: dict[int, int]) -> Any:
    """The expression as nested tuples. Variables are numbered in order. A constant list equals a set, because the
    surrounding expression determines which is meant. The members of the context's type are left out."""
    match expr:
        case Local(slot=slot):
            return "local", slots[slot], expr.type
        case Root(name="context"):
            return ("context",)
        case Const(value=value, type=type_):
            return "const", repr(value), _constant_type(type_)
        case Quantifier(kind=kind, slot=slot, collection=collection, body=body):
            over = _canonical(collection, slots)
            return kind, over, _canonical(body, {**slots, slot: len(slots)})
    plain_parts: list[Any] = [type(expr)]
    for field in fields(expr):
        value = getattr(expr, field.name)
        if isinstance(value, Node):
            plain_parts.append(_canonical(value, slots))  # type: ignore[arg-type]
        elif isinstance(value, tuple) and any(isinstance(item, Node) for item in value):
            plain_parts.append([_canonical(item, slots) if isinstance(item, Node) else item for item in value])  # type: ignore[arg-type]
        elif field.name != "span":
            plain_parts.append(value)
    return tuple(plain_parts)


def _constant_type(type_: Type) -> Type:
    element = element_of(type_)
    return type_ if element is None else ListT(_constant_type(element))
