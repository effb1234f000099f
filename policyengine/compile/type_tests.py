"""Tests of a value's type, as Python expressions: true only for values that `values.guard` returns unchanged."""

from __future__ import annotations

import ast

from policyengine.compile.pytree import between, class_of, load
from policyengine.model.types import BOOL, INT, NUMBER, STRING, RecordT, Type
from policyengine.model.values import INT_MAX, INT_MIN

# The largest number that CPython compares without a loop: one digit.
SMALL = 2**30 - 1
FLOAT_MAX = 1.7976931348623157e308


def scalar_test(first: ast.expr, again: ast.expr, type_: Type) -> ast.expr | None:
    """A test of the value's type: `first` evaluates it, `again` names it. None for types that need more than a
    test."""

    def is_a(value: ast.expr, kind: str) -> ast.expr:
        return ast.Compare(class_of(value), [ast.Is()], [load(kind)])

    if type_ == STRING:
        return is_a(first, "str")
    if type_ == BOOL:
        return is_a(first, "bool")
    if isinstance(type_, RecordT):
        return is_a(first, "dict")
    if type_ == INT:
        # Nearly all numbers are small, and small numbers compare fastest.
        above = ast.Compare(again, [ast.Gt()], [ast.Constant(-SMALL)])
        small = ast.BoolOp(ast.And(), [above, ast.Compare(again, [ast.Lt()], [ast.Constant(SMALL)])])
        fits = ast.BoolOp(ast.Or(), [small, between(INT_MIN, again, INT_MAX)])
        return ast.BoolOp(ast.And(), [is_a(first, "int"), fits])
    if type_ == NUMBER:
        number = ast.BoolOp(ast.Or(), [is_a(first, "int"), is_a(again, "float")])
        # NaN is between no two numbers.
        return ast.BoolOp(ast.And(), [number, between(-FLOAT_MAX, again, FLOAT_MAX)])
    return None
