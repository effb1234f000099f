"""Small pieces of Python syntax trees, for those who write generated code."""

from __future__ import annotations

import ast
from typing import Any, TypeVar

from policyengine.diagnostics.source import Span


def load(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def call(function: str, *args: ast.expr) -> ast.Call:
    return ast.Call(load(function), list(args), [])


def call_object(function: ast.expr, *args: ast.expr) -> ast.Call:
    return ast.Call(function, list(args), [])


def subscript(value: ast.expr, key: str) -> ast.Subscript:
    return ast.Subscript(value, ast.Constant(key), ast.Load())


def class_of(value: ast.expr) -> ast.expr:
    return call("type", value)


def assign(name: str, value: ast.expr) -> ast.Assign:
    return ast.Assign([ast.Name(name, ast.Store())], value)


def all_of(tests: list[ast.expr]) -> ast.expr:
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.And(), tests)


def any_of(tests: list[ast.expr]) -> ast.expr:
    return tests[0] if len(tests) == 1 else ast.BoolOp(ast.Or(), tests)


Placed = TypeVar("Placed", ast.expr, ast.stmt)


def place(node: Placed, span: Span) -> Placed:
    """Gives each node that has no place yet the place of the policy text that it came from."""
    if not hasattr(node, "lineno"):
        node.lineno, column = span.line_col
        node.end_lineno, end_column = span.end_line_col
        node.col_offset, node.end_col_offset = column - 1, end_column - 1
        # For display: a line number alone does not say which file it is in.
        node.span = span  # type: ignore[attr-defined]
    return node


def meets(found: ast.expr, above: ast.expr, single: bool) -> ast.expr:
    """Whether one identity is among others; or, unless `single`, whether any of several is."""
    if single:
        return ast.Compare(found, [ast.In()], [above])
    return ast.UnaryOp(ast.Not(), ast.Call(ast.Attribute(found, "isdisjoint", ast.Load()), [above], []))


def between(low: Any, value: ast.expr, high: Any) -> ast.expr:
    return ast.Compare(ast.Constant(low), [ast.LtE(), ast.LtE()], [value, ast.Constant(high)])


def of_world(question: str, *args: ast.expr) -> ast.Call:
    """A call of a method of the world."""
    return ast.Call(ast.Attribute(load("world"), question, ast.Load()), list(args), [])


def parameters(*names: str) -> ast.arguments:
    args = [ast.arg(name) for name in names]
    return ast.arguments(posonlyargs=[], args=args, kwonlyargs=[], kw_defaults=[], defaults=[])


def inside(low: ast.expr, high: ast.expr, bound: int, otherwise: ast.expr) -> ast.expr:
    """A test whether the lower number is above `-bound` and the higher one below `bound`; otherwise `otherwise`."""
    above = ast.Compare(low, [ast.Gt()], [ast.Constant(-bound)])
    below = ast.Compare(high, [ast.Lt()], [ast.Constant(bound)])
    return ast.BoolOp(ast.Or(), [ast.BoolOp(ast.And(), [above, below]), otherwise])


def like_test(text: ast.expr, pieces: tuple[str, ...]) -> ast.expr | None:
    """A test whether a text matches a pattern, if Python has an operator or method for it."""
    match pieces:
        case (whole,):
            return ast.Compare(text, [ast.Eq()], [ast.Constant(whole)])
        case (start, ""):
            return ast.Call(ast.Attribute(text, "startswith", ast.Load()), [ast.Constant(start)], [])
        case ("", end):
            return ast.Call(ast.Attribute(text, "endswith", ast.Load()), [ast.Constant(end)], [])
    return None
