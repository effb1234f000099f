"""Reading an expression as a tree: its parts, the collections that it visits, substitution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

from policyengine.ir.nodes import (
    Call,
    Collection,
    Const,
    Contains,
    Equal,
    Expr,
    Local,
    Node,
    Quantifier,
    Sources,
    Within,
)
from policyengine.model.types import JSON, EntityT, ListT, Prim, RecordT, SetT, element_of

# The fields of each class that hold expressions, found by their annotations.
_names: dict[type, tuple[str, ...]] = {}
_PARTS = ("Expr", "Local")


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of an expression, in the order in which they are evaluated."""
    names = _names.get(expr.__class__)
    if names is None:
        names = _names[expr.__class__] = tuple(f.name for f in fields(expr) if any(p in f.type for p in _PARTS))
    if not names:
        return ()
    parts: list[Expr] = []
    for name in names:
        value = getattr(expr, name)
        if value.__class__ is tuple:
            parts += [item for item in value if isinstance(item, Node)]  # type: ignore[misc]
        elif isinstance(value, Node):
            parts.append(value)  # type: ignore[arg-type]
    return tuple(parts)


def walk(expr: Expr) -> Iterator[Expr]:
    """The expression and everything in it, parents first."""
    todo = [expr]
    while todo:
        node = todo.pop()
        yield node
        todo += children(node)[::-1]


def size(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


def gone_through(expr: Expr) -> tuple[Expr, ...]:
    """The collections that an operator or a call visits element by element, except those that the policy writes out."""
    match expr:
        case Call(function="contains_any" | "contains_all" | "size", args=args):
            collections = args
        case Equal(left=left, right=right):
            collections = (left, right)
        case Contains(collection=collection):
            collections = (collection,)
        case Within(target=target) if not isinstance(target.type, EntityT):
            collections = (target,)
        case _:
            return ()
    return tuple(each for each in collections if isinstance(each.type, SetT | ListT | RecordT) or each.type == JSON
                 if not isinstance(each, Const | Sources) and not _is_written_out(each))  # fmt: skip


def counted(expr: Expr) -> tuple[Expr, ...]:
    """Those of them that count when the expression is within a quantifier. A collection that is searched is kept as a
    set if it is the same for all elements."""
    collections = gone_through(expr)
    return tuple(filter(varies, collections)) if isinstance(expr, Contains | Within) else collections


def counted_values(expr: Expr, parts: Sequence[Expr], values: Sequence[Any]) -> Iterator[tuple[Any, bool]]:
    """The values of those parts of an expression that count, and whether their elements have no elements themselves."""
    collections = counted(expr)
    for part, value in zip(parts, values, strict=True):
        if any(part is each for each in collections):
            yield value, is_flat(part)


def is_flat(expr: Expr) -> bool:
    """Whether the elements of a collection have no elements themselves."""
    element = element_of(expr.type)
    return isinstance(element, Prim | EntityT) and element != JSON


def varies(expr: Expr) -> bool:
    """Whether the value depends on the element of an enclosing quantifier."""
    parts = list(walk(expr))
    own = {part.slot for part in parts if isinstance(part, Quantifier)}
    return any(isinstance(part, Local) and part.slot not in own for part in parts)


def _is_written_out(expr: Expr) -> bool:
    return isinstance(expr, Collection) and is_flat(expr)


def quantifies(expr: Expr) -> bool:
    """Whether something in the expression visits collections: a quantifier, or an operation that counts as one."""
    return any(isinstance(part, Quantifier) or counted(part) for part in walk(expr))


def counts(expr: Expr, slot: int) -> bool:
    """Whether the position of a variable's element matters, and not only its value."""
    return any(
        isinstance(part, Sources) and any(isinstance(step, Local) and step.slot == slot for step in part.path)
        for part in walk(expr)
    )


def substituted(expr: Expr, slot: int, value: Expr) -> Expr:
    """The expression with the variable replaced by the value. Slots are unique within a rule, so no variable is
    hidden."""
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
