"""Atoms and constants as people write them in `.pol`."""

from __future__ import annotations

import json
from typing import Any, assert_never

from policyengine.ir.nodes import Expr
from policyengine.ir.write import Unwritable, Words, constant, written
from policyengine.model.values import Entity, Uid, to_json
from policyengine.partial.formula import (
    Atom,
    Below,
    Elements,
    Inside,
    Matching,
    Missing,
    OfType,
    OneOf,
    Opaque,
    Path,
    Present,
    Relation,
    Sized,
    Sourced,
    TwoFields,
)
from policyengine.syntax import ast, synthetic
from policyengine.syntax.comments import without_comments
from policyengine.syntax.format import one_line
from policyengine.syntax.quoting import is_identifier

_MOST = 8


def shown(atom: Atom, type_: str) -> str:
    """The atom in the words of the language, in one line. `type_` is the type of the thing, which is named by the type
    in lower case."""
    root = type_.lower() if is_identifier(type_) else "resource"
    match atom:
        case Opaque(expr=expr):
            return _opaque(expr, root)
        case Sourced(ids=ids):
            ids_in = synthetic.binary("in", _place(root, ("id",)), _list(tuple(sorted(ids))))
            return f"{one_line(ids_in)}, as the entity source has it"
        case Inside(closed=closed) if not closed:
            return f"the parents of {root} are well formed"
        case OfType(path=path, type=of):
            return f"{one_line(_place(root, path))} is a {of}"
        case _:
            return one_line(_tree(atom, root))


def _opaque(expr: Expr, root: str) -> str:
    try:
        return written(expr, Words(root))
    except Unwritable:
        return without_comments(expr.span.text)


def _tree(
    atom: Inside | Present | Missing | Relation | OneOf | Elements | Matching | Sized | TwoFields | Below, root: str
) -> ast.Expr:
    match atom:
        case Inside(targets=targets, closed=closed, negated=negated):
            return _not(synthetic.binary("in", synthetic.ref(root), _entities(targets or closed)), negated)
        case Present(path=path):
            return _has(root, path)
        case Missing(path=path):
            return _not(_has(root, path), True)
        case Relation(path=path, op=op, value=value):
            return synthetic.binary(op, _place(root, path), _constant(value))
        case OneOf(path=path, values=values, negated=negated):
            return _not(synthetic.binary("in", _place(root, path), _list(values)), negated)
        case Elements(path=path, kind=kind, values=values):
            return _contains(kind, _place(root, path), values)
        case Matching(path=path, pieces=pieces, negated=negated):
            return _not(synthetic.like(_place(root, path), pieces), negated)
        case Sized(path=path, op=op, count=count):
            return synthetic.binary(op, synthetic.call("size", [_place(root, path)]), synthetic.number(count))
        case TwoFields(path=path, op=op, other=other):
            return synthetic.binary(op, _place(root, path), _place(root, other))
        case Below(path=path, targets=targets, closed=closed, negated=negated):
            return _not(synthetic.binary("in", _place(root, path), _entities(targets or closed)), negated)
        case _:
            assert_never(atom)


def _contains(kind: str, place: ast.Expr, values: tuple[Any, ...]) -> ast.Expr:
    match kind, len(values):
        case (("any" | "none"), 1):
            return _not(synthetic.binary("in", _constant(values[0]), place), kind == "none")
        case (("any" | "none"), _):
            return _not(synthetic.call("contains_any", [place, _list(values)]), kind == "none")
        case (("all" | "lacks"), _):
            return _not(synthetic.call("contains_all", [place, _list(values)]), kind == "lacks")
    return _not(synthetic.call("contains_all", [_list(values), place]), kind == "other")


def _place(root: str, path: Path) -> ast.Expr:
    return synthetic.dotted(synthetic.ref(root), path)


def _has(root: str, path: Path) -> ast.Expr:
    *base, name = path
    return synthetic.has(_place(root, tuple(base)), name)


def _list(values: tuple[Any, ...]) -> ast.Expr:
    """The first of the values, and how many are left out."""
    left = len(values) - _MOST
    more = [synthetic.ref(f"... {left:,} more")] if left > 0 else []
    return synthetic.items([*map(_constant, values[:_MOST]), *more])


def _constant(value: Any) -> ast.Expr:
    """A constant, or its JSON if it has no literal."""
    try:
        return constant(value)
    except Unwritable:
        return synthetic.ref(json.dumps(to_json(value), ensure_ascii=False))


def _entities(targets: frozenset[Uid]) -> ast.Expr:
    entities = tuple(Entity(uid) for uid in sorted(targets))
    return _constant(entities[0]) if len(entities) == 1 else _list(entities)


def _not(expr: ast.Expr, negated: bool) -> ast.Expr:
    return synthetic.unary("not", expr) if negated else expr
