"""Findings about constants outside the range in which they have a meaning.

Values computed from constants, and both branches of an `if`, are checked as if they were written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from itertools import islice, product
from typing import Any

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.ir.fold import fold
from policyengine.ir.nodes import Arithmetic, Const, Expr, If, Negate
from policyengine.model import operators
from policyengine.model.values import Fault
from policyengine.syntax import ast

# How long a limit may count and block: every store can represent the end of that time.
LONGEST = timedelta(days=36_525)
# The most values of one expression that are checked.
MOST = 64


def constants(expr: Expr) -> list[Const]:
    """The constant values that an expression may have, each with the place where it is written; at most the first
    ones."""
    match expr:
        case Const():
            return [expr]
        case If(then=then, otherwise=otherwise):
            return [*constants(then), *constants(otherwise)][:MOST]
        case Negate(operand=operand, type=type_):
            return _computed(expr, (partial(operators.negate, one.value, type_) for one in constants(operand)))
        case Arithmetic(op=op, left=left, right=right, type=type_):
            pairs = product(constants(left), constants(right))
            computing = (partial(operators.arithmetic, op, one.value, other.value, type_) for one, other in pairs)
            return _computed(expr, islice(computing, MOST))
    return []


def _computed(expr: Expr, computing: Iterable[Callable[[], Any]]) -> list[Const]:
    constants = []
    for compute in computing:
        # Operands of types that do not go together have their finding already, and no value.
        with suppress(Fault, TypeError):
            constants.append(Const(value=compute(), type=expr.type, span=expr.span))
    return constants


def not_below(expr: Expr, least: int, message: str, findings: Findings) -> None:
    """Reports a number below `least`, once."""
    for one in constants(fold(expr)):
        if type(one.value) in (int, float) and one.value < least:
            findings.report(codes.BAD_CONSTANT, one.span, message)
            return


def seconds(tree: ast.Literal, what: str, findings: Findings) -> float:
    """A length of time that a limit is kept for."""
    length: timedelta = tree.value  # type: ignore[assignment]
    if not timedelta(0) < length:
        findings.report(codes.BAD_CONSTANT, tree.span, f"{what} must be longer than zero")
    elif length > LONGEST:
        findings.report(codes.BAD_CONSTANT, tree.span, f"{what} is at most {LONGEST.days} days")
    return length.total_seconds()
