"""Functions of sets and lists of texts, as Python expressions.

Whether two texts are equal does not depend on their type, so Python's own sets give the results of `operators`, faster.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from policyengine.compile.pytree import call
from policyengine.ir import nodes as ir
from policyengine.model.types import STRING, ListT, SetT


def string_set_call(
    expr: ir.Call, emit: Callable[[ir.Expr], ast.expr], constant: Callable[[Any], ast.expr]
) -> ast.expr | None:
    """The call; None if it is of another function, or of anything but texts."""
    if not all(isinstance(arg.type, SetT | ListT) and arg.type.element == STRING for arg in expr.args):
        return None

    def as_set(one: ir.Expr) -> ast.expr:
        if isinstance(one, ir.Const):
            return constant(frozenset(one.value))
        return ast.Set([ast.Starred(emit(one), ast.Load())])

    def ask(one: ast.expr, question: str, other: ast.expr) -> ast.expr:
        return ast.Call(ast.Attribute(one, question, ast.Load()), [other], [])

    match expr.function, expr.args:
        case "size", (one,):
            return call("len", as_set(one) if isinstance(one.type, SetT) else emit(one))
        case "contains_any", (one, ir.Const() as other):
            return ast.UnaryOp(ast.Not(), ask(as_set(other), "isdisjoint", emit(one)))
        case "contains_any", (one, other):
            return ast.UnaryOp(ast.Not(), ask(as_set(one), "isdisjoint", emit(other)))
        case "contains_all", (one, ir.Const() as other):
            return ask(as_set(other), "issubset", emit(one))
        case "contains_all", (one, other):
            return ask(as_set(one), "issuperset", emit(other))
    return None
