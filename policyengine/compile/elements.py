"""Quantifiers as Python expressions.

If a collection is the same for every element, it becomes a set when the first element is looked for in it, so that each
further element takes one look.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from policyengine.compile.prepare import depends
from policyengine.compile.pytree import call, call_object, load, parameters
from policyengine.ir import nodes as ir
from policyengine.ir.walk import counted, counts, is_flat, quantifies, walk
from policyengine.model.types import ListT, SetT


def quantified(
    expr: ir.Quantifier,
    emit: Callable[[ir.Expr], ast.expr],
    constant: Callable[[Any], ast.expr],
    fresh: Callable[[], str],
    kept: dict[int, str],
    around: list[str],
) -> ast.expr:
    """The quantifier. `kept` has the tests of membership whose collection is kept as a set, each with the name that it
    is kept under; `around` has the names of the collections of the enclosing quantifiers."""
    kept_here = [
        (id(node), fresh()) for node in walk(expr.body) if id(node) not in kept and _is_same_for_all(node, expr)
    ]
    kept.update(kept_here)
    elements = emit(expr.collection)
    if around:
        elements = call("bounded", elements, *map(load, around))
    slot, name = expr.slot, fresh()
    around.append(name)
    test = emit(expr.body)
    around.pop()
    extra: tuple[ast.expr, ...] = ()
    if expr.kind == "sum":
        function, lambda_parameters = "summed", parameters(f"i{slot}", f"q{slot}")
        extra = (constant(expr.collection.type), constant(expr.type))
    elif counts(expr.body, slot):
        function, lambda_parameters = f"counted_{expr.kind}", parameters(f"i{slot}", f"q{slot}")
    else:
        function, lambda_parameters = f"holds_{expr.kind}", parameters(f"q{slot}")
    if quantifies(expr.body):
        over_elements = ast.Lambda(
            parameters(name), call(function, load(name), ast.Lambda(lambda_parameters, test), *extra)
        )
        test_all: ast.expr = call_object(over_elements, elements)
    else:
        test_all = call(function, elements, ast.Lambda(lambda_parameters, test), *extra)
    if not kept_here:
        return test_all
    # One list for each set, empty until the set is made.
    cells: list[ast.expr] = [ast.List([], ast.Load()) for _ in kept_here]
    return call_object(ast.Lambda(parameters(*(name for _, name in kept_here)), test_all), *cells)


def counting(expr: ir.Expr, emit: Callable[[ir.Expr], ast.expr], around: list[str]) -> Callable[[ir.Expr], ast.expr]:
    """An `emit` for the parts of an expression that counts the elements of quantifiers within quantifiers."""
    counts_here = counted(expr) if around else ()
    names = tuple(around)

    def emitted(part: ir.Expr) -> ast.expr:
        if not any(part is each for each in counts_here):
            return emit(part)
        return call("bounded" if is_flat(part) else "bounded_deep", emit(part), *map(load, names))

    return emitted


def kept_set(name: str, collection: ast.expr, *element: ast.expr, how: str = "kept") -> ast.expr:
    """The set of this name, made from the collection on first use."""
    return call(how, load(name), ast.Lambda(parameters(), collection), *element)


def within_many(
    expr: ir.Within, emit: Callable[[ir.Expr], ast.expr], kept: dict[int, str], around: list[str]
) -> ast.expr:
    """A hierarchy test within a quantifier. The targets are kept if they are the same for all elements."""
    name, targets = kept.get(id(expr)), counting(expr, emit, around)(expr.target)
    made = call("uids", targets) if name is None else kept_set(name, targets, how="kept_uids")
    return is_within(emit(expr.entity), made)


def is_within(entity: ast.expr, targets: ast.expr) -> ast.expr:
    return call("within", entity, targets, ast.Attribute(load("world"), "ancestors", ast.Load()))


def _is_same_for_all(node: ir.Expr, around: ir.Quantifier) -> bool:
    match node:
        case ir.Contains(collection=found) | ir.Within(target=found):
            inside = {each.slot for each in walk(around) if isinstance(each, ir.Quantifier)}
            written = isinstance(found, ir.Const | ir.Collection)
            return isinstance(found.type, SetT | ListT) and not written and not depends(found) & inside
    return False


def sources_of(expr: ir.Sources) -> ast.expr:
    """The sources of an argument, or of the current element of each enclosing quantifier."""
    steps: list[ast.expr] = [
        ast.Constant(step) if isinstance(step, str) else call("str", load(f"i{step.slot}")) for step in expr.path
    ]
    names = ("resource", "context", "world", "read")
    return call("sources", ast.Tuple(steps, ast.Load()), *map(load, names))
