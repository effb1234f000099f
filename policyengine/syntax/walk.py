"""Expressions and types bottom up, without recursion: a chain of a thousand operators is a thousand nodes deep.

Consecutive operators of one precedence are treated as one chain, an `else if` as part of the `if` before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TypeVar, assert_never

from policyengine.syntax import ast

T = TypeVar("T")
N = TypeVar("N", bound=ast.Node)

# How tightly each form binds, loosest first, as in the grammar.
OR, AND, PREFIX, COMPARISON, SUM, PRODUCT, MINUS, POSTFIX = range(8)
LEVELS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT}


def fold(root: N, below: Callable[[N], tuple[N, ...]], build: Callable[[N, list[T]], T]) -> T:
    """`build` of a node and of the results for the nodes below it."""
    todo = [(root, False)]
    done: list[T] = []
    while todo:
        node, ready = todo.pop()
        children = below(node)
        if children and not ready:
            todo.append((node, True))
            todo.extend((child, False) for child in reversed(children))
        else:
            split = len(done) - len(children)
            parts = done[split:]
            del done[split:]
            done.append(build(node, parts))
    return done[0]


def level_of(node: ast.Binary) -> int:
    return LEVELS.get(node.op, COMPARISON)


def is_logical(node: ast.Node) -> bool:
    return isinstance(node, ast.Binary) and node.op in ("and", "or")


def chain(node: ast.Binary) -> list[tuple[str, ast.Expr]]:
    """`a + b - c` as its operands, each with the operator before it; the first has none."""
    level, operands = level_of(node), []
    left: ast.Expr = node
    while isinstance(left, ast.Binary) and level_of(left) == level and (left is node or level != COMPARISON):
        operands.append((left.op, left.right))
        left = left.left
    return [("", left), *reversed(operands)]


def arms(node: ast.Conditional) -> tuple[list[tuple[ast.Expr, ast.Expr]], ast.Expr]:
    """`if a then b else if c then d else e` as its pairs, and the last alternative."""
    pairs = []
    otherwise: ast.Expr = node
    while isinstance(otherwise, ast.Conditional):
        pairs.append((otherwise.condition, otherwise.then))
        otherwise = otherwise.otherwise
    return pairs, otherwise


def below_expression(node: ast.Expr) -> tuple[ast.Expr, ...]:
    """The expressions that this one is made of."""
    match node:
        case ast.Literal() | ast.EntityLit() | ast.Ref():
            return ()
        case ast.EntityOf(id=id_):
            return (id_,)
        case ast.ListLit(items=items):
            return items
        case ast.RecordLit(entries=entries):
            return tuple(entry.value for entry in entries)
        case ast.Call(args=args):
            return args
        case ast.MethodCall(base=base, args=args):
            return (base, *args)
        case ast.Member(base=base) | ast.HasOp(base=base) | ast.IsOp(base=base) | ast.LikeOp(base=base):
            return (base,)
        case ast.Lookup(base=base, key=key) | ast.HasKey(base=base, key=key):
            return (base, key)
        case ast.Unary(operand=operand):
            return (operand,)
        case ast.Binary():
            return tuple(operand for _, operand in chain(node))
        case ast.Conditional():
            pairs, otherwise = arms(node)
            return (*(part for pair in pairs for part in pair), otherwise)
        case ast.Quantifier(kind=kind, collection=collection, body=body):
            return (body, collection) if kind == "sum" else (collection, body)
        case _:
            assert_never(node)


def below_type(node: ast.TypeExpr) -> tuple[ast.TypeExpr, ...]:
    match node:
        case ast.NamedType() | ast.EntityType() | ast.LiteralType():
            return ()
        case ast.UnionType(members=members):
            return members
        case ast.GenericType(argument=inner) | ast.MarkedType(type=inner):
            return (inner,)
        case ast.RecordType(fields=declared):
            return tuple(field.type for field in declared)
        case _:
            assert_never(node)


def mentions(root: ast.Expr, name: str) -> bool:
    """Whether an expression reads this name."""
    todo = [root]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Ref) and node.name == name:
            return True
        todo.extend(below_expression(node))
    return False


def same_tree(left: ast.Node, right: ast.Node) -> bool:
    """Whether two trees are equal: `==`, for trees of any depth."""
    todo: list[tuple[object, object]] = [(left, right)]
    while todo:
        a, b = todo.pop()
        if type(a) is not type(b):
            return False
        if isinstance(a, ast.Node):
            todo.extend((getattr(a, f.name), getattr(b, f.name)) for f in fields(a) if f.compare)
        elif isinstance(a, tuple) and isinstance(b, tuple):
            if len(a) != len(b):
                return False
            todo.extend(zip(a, b, strict=True))
        elif a != b:
            return False
    return True
