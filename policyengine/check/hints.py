"""What to write instead of an operand of the wrong type."""

from __future__ import annotations

import re

from policyengine.ir.nodes import Const, Expr, Root
from policyengine.model.types import (
    BOOL,
    DURATION,
    IP,
    JSON,
    STRING,
    TIME,
    EntityT,
    Type,
    comparable,
    element_of,
    is_numeric,
)


def shown(expr: Expr) -> str:
    """The type of an expression in words."""
    return "null" if is_null(expr) else str(expr.type)


def is_null(expr: Expr) -> bool:
    """`null` itself: a value that only Json has."""
    return isinstance(expr, Const) and expr.value is None and expr.type == JSON


def about_action(expr: Expr) -> str:
    """What to write instead of comparing the action or its name; empty for any other expression."""
    is_action = isinstance(expr, Root) and expr.name == "action"
    return "name the actions in the head of the rule" if is_action else ""


_READERS: dict[Type, str] = {IP: "ip", TIME: "time", DURATION: "duration"}


def instead_of(expr: Expr, wanted: Type) -> str:
    type_, text = expr.type, expr.span.text
    if isinstance(type_, EntityT) and wanted == STRING:
        return f"the identifier of an entity is its `.id`: `{text}.id`"
    if isinstance(wanted, EntityT) and isinstance(expr, Const) and type_ == STRING and len(wanted.names) == 1:
        return f"write the entity: `{wanted}::{text}`"
    if wanted == DURATION and is_numeric(type_):
        return "a duration has a unit, such as `15m`"
    if type_ == STRING and wanted in _READERS:
        return f"write `{_READERS[wanted]}({text})`"
    if element_of(wanted) == type_:
        return f"write `[{text}]`"
    if wanted == BOOL:
        return "test with `has` whether it is present" if is_null(expr) else "compare it with a value"
    return ""


def equal_instead(side: Expr, other: Expr) -> str:
    """What to write to compare the two; empty if it is the other way round, or unclear."""
    text, than = side.span.text, other.span.text
    if isinstance(side.type, EntityT) and other.type == STRING:
        if isinstance(other, Const) and len(side.type.names) == 1:
            return f"write the entity: `{side.type}::{than}`"
        return f"the identifier of an entity is its `.id`: `{text}.id`"
    if element_of(side.type) == other.type:
        return f"write `{than} in {text}`"
    return as_other(other, side.type)


def collection_in_collection(item: Expr, collection: Expr) -> str:
    """What to write where a collection stands for an element of another; empty if their elements cannot be compared.

    The hint names both readings: only the author knows which of them is safe."""
    inner, outer = element_of(item.type), element_of(collection.type)
    if inner is None or outer is None or not comparable(inner, outer):
        return ""
    one, many = item.span.text, collection.span.text
    return f"write `contains_all({many}, {one})` if each must be in it, `contains_any({one}, {many})` if one is enough"


def as_other(constant: Expr, type_: Type) -> str:
    """A constant as a constant of another type, if it reads like one."""
    if not isinstance(constant, Const) or constant.value is None:
        return ""
    if constant.type == STRING and is_numeric(type_) and _NUMERAL.fullmatch(str(constant.value)):
        return f"write `{constant.value}`, without quotes"
    if constant.type == STRING and type_ == BOOL and constant.value in ("true", "false"):
        return f"write `{constant.value}`, without quotes"
    if is_numeric(constant.type) and type_ == STRING:
        return f'write `"{constant.span.text}"`'
    if constant.type == STRING and type_ in _READERS:
        return f"write `{_READERS[type_]}({constant.span.text})`"
    return ""


_NUMERAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
