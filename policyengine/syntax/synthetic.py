"""Nodes that come from no text: for output of the engine in the syntax of the language.

Their places are in an empty text. The formatter writes them (`syntax/format.py`), so that nothing here deals with
parentheses, quotes or escapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import reduce

from policyengine.diagnostics.source import Source
from policyengine.model.values import duration_text
from policyengine.syntax import ast

NOWHERE = Source("", "").span(0, 0)


def name(text: str) -> ast.Name:
    return ast.Name(text=text, span=NOWHERE)


def ref(text: str) -> ast.Ref:
    return ast.Ref(name=text, span=NOWHERE)


def null() -> ast.Literal:
    return ast.Literal(value=None, kind="null", span=NOWHERE)


def boolean(value: bool) -> ast.Literal:
    return ast.Literal(value=value, kind="bool", span=NOWHERE)


def number(value: int | float) -> ast.Literal:
    return ast.Literal(value=value, kind="number", span=NOWHERE)


def text(value: str) -> ast.Literal:
    return ast.Literal(value=value, kind="string", span=NOWHERE)


def duration(value: timedelta) -> ast.Literal:
    return ast.Literal(value=value, kind="duration", text=duration_text(value), span=NOWHERE)


def entity(type_: str, id_: str) -> ast.EntityLit:
    return ast.EntityLit(type=name(type_), id=name(id_), span=NOWHERE)


def items(found: Iterable[ast.Expr]) -> ast.ListLit:
    return ast.ListLit(items=tuple(found), span=NOWHERE)


def dotted(base: ast.Expr, path: Iterable[str]) -> ast.Expr:
    """`base.a.b`."""
    return reduce(lambda inner, step: ast.Member(base=inner, name=name(step), span=NOWHERE), path, base)


def has(base: ast.Expr, attribute: str) -> ast.HasOp:
    return ast.HasOp(base=base, path=(name(attribute),), span=NOWHERE)


def call(function: str, args: Iterable[ast.Expr]) -> ast.Call:
    return ast.Call(name=name(function), args=tuple(args), span=NOWHERE)


def unary(op: str, operand: ast.Expr) -> ast.Unary:
    return ast.Unary(op="not" if op == "not" else "-", operand=operand, span=NOWHERE)


def binary(op: str, left: ast.Expr, right: ast.Expr) -> ast.Binary:
    return ast.Binary(op=op, left=left, right=right, span=NOWHERE)


def joined(op: str, operands: Sequence[ast.Expr]) -> ast.Expr:
    """`a and b and c`."""
    return reduce(lambda left, right: binary(op, left, right), operands)


def like(base: ast.Expr, pattern: Iterable[str]) -> ast.LikeOp:
    """A pattern of pieces, with anything between them."""
    return ast.LikeOp(base=base, pattern=text("*".join(pattern)), span=NOWHERE)
