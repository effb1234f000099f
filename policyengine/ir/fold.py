"""Constant folding that changes no outcome: not a value, not an error, not the place of an error.

In: a typed expression. Out: an equal one, smaller where parts are constant. Parts that cannot be computed stay.
"""

from __future__ import annotations

from dataclasses import replace

from policyengine.ir.nodes import And, Const, Expr, If, Not, Or
from policyengine.model.types import BOOL


def fold(expr: Expr) -> Expr:
    """Folds `not`, `and`, `or` and `if` over constants."""
    match expr:
        case Not(operand=operand):
            inner = fold(operand)
            if isinstance(inner, Const):
                return Const(value=not inner.value, type=BOOL, span=expr.span)
            return inner.operand if isinstance(inner, Not) else replace(expr, operand=inner)
        case And(items=items):
            return _fold_items(expr, items, ends_at=False)
        case Or(items=items):
            return _fold_items(expr, items, ends_at=True)
        case If(condition=condition, then=then, otherwise=otherwise):
            test = fold(condition)
            if isinstance(test, Const):
                return fold(then) if test.value else fold(otherwise)
            return replace(expr, condition=test, then=fold(then), otherwise=fold(otherwise))
    return expr


def _fold_items(expr: And | Or, items: tuple[Expr, ...], ends_at: bool) -> Expr:
    """Removes neutral constants, and everything after a deciding constant, which is never reached. What is before it
    may still err."""
    kept: list[Expr] = []
    for item in items:
        folded = fold(item)
        inner = folded.items if type(folded) is type(expr) else (folded,)
        for part in inner:
            if isinstance(part, Const) and part.type == BOOL and part.value is not ends_at:
                continue
            kept.append(part)
            if isinstance(part, Const) and part.type == BOOL:
                return kept[0] if len(kept) == 1 else replace(expr, items=tuple(kept))
    if not kept:
        return Const(value=not ends_at, type=BOOL, span=expr.span)
    return kept[0] if len(kept) == 1 else replace(expr, items=tuple(kept))
