"""Reading an expression as a tree: its parts, its size, its fixed text form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from policyengine.ir.nodes import Call, Const, Expr, Local, Node, Quantifier, Sources

_names: dict[type, tuple[str, ...]] = {}


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression, in the order in which they are evaluated."""
    parts: list[Expr] = []
    names = _names.get(type(expr))
    if names is None:
        names = _names[type(expr)] = tuple(f.name for f in fields(expr))
    for name in names:
        value = getattr(expr, name)
        if isinstance(value, Node):
            parts.append(value)  # type: ignore[arg-type]
        elif isinstance(value, tuple):
            parts.extend(item for item in value if isinstance(item, Node))  # type: ignore[misc]
    return tuple(parts)


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything in it, parents first."""
    todo = [expr]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(children(node)))


def size(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def counted(expr: Expr) -> tuple[Expr, ...]:
    """The collections that a call goes through, and that count where it stands within a quantifier; no constants."""
    if isinstance(expr, Call) and expr.function in ("contains_any", "contains_all"):
        return tuple(arg for arg in expr.args if not isinstance(arg, Const))
    return ()


def quantifies(expr: Expr) -> bool:
    """Whether something in the expression goes through collections: a quantifier, or a call that counts like one."""
    return any(isinstance(part, Quantifier) or counted(part) for part in walk(expr))


def counts(expr: Expr, slot: int) -> bool:
    """Whether the position of a variable's element matters, and not only its value."""
    return any(
        isinstance(part, Sources) and any(isinstance(step, Local) and step.slot == slot for step in part.path)
        for part in walk(expr)
    )


def substituted(expr: Expr, slot: int, value: Expr) -> Expr:
    """The expression with the value in the place of a variable. Slots are unique within a rule, so none hides it."""
    if isinstance(expr, Local):
        return value if expr.slot == slot else expr
    changed: dict[str, Any] = {}
    for f in fields(expr):
        part = getattr(expr, f.name)
        if isinstance(part, Node):
            changed[f.name] = substituted(part, slot, value)  # type: ignore[arg-type]
        elif isinstance(part, tuple) and any(isinstance(item, Node) for item in part):
            changed[f.name] = tuple(
                substituted(i, slot, value) if isinstance(i, Node) else i  # type: ignore[arg-type]
                for i in part
            )
    return replace(expr, **changed) if changed else expr
