"""Reading an expression as a tree: its parts, its size, its fixed text form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from policyengine.ir.nodes import Expr, Node


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression, in the order in which they are evaluated."""
    parts: list[Expr] = []
    for f in fields(expr):
        value = getattr(expr, f.name)
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
