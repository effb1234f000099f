"""`any`, `all` and `sum`: a variable, the collection whose elements it stands for, and a body for each element.

In: the tree, and a function that checks the expressions in it. Out: the typed expression; findings go to
`env.place.findings`.
"""

from __future__ import annotations

from collections.abc import Callable

from policyengine.check import operands
from policyengine.check.environment import UNKNOWN, Typed, TypeEnv
from policyengine.check.hints import shown
from policyengine.check.recorded import recorded
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Expr, Local, Quantifier
from policyengine.model.types import BOOL, DURATION, JSON, NUMBER, ListT, Type, element_of, is_numeric
from policyengine.syntax import ast
from policyengine.syntax.walk import mentions

Check = Callable[[ast.Expr, TypeEnv], Typed]


def quantifier(tree: ast.Quantifier, env: TypeEnv, check: Check) -> Expr:
    collection = operands.expect(check(tree.collection, env).expr, ListT(JSON))
    element = element_of(collection.type)
    findings = env.place.findings
    if element is None and collection.type != UNKNOWN:
        message = f"`{tree.kind}` needs a collection, not {collection.type}"
        findings.report(codes.WRONG_TYPE, tree.collection.span, message)
    name = tree.variable.text
    taken = {"principal", "action", "resource", "context", env.place.alias, *(n for n, _ in env.place.context.fields)}
    if name in env.locals or name in taken:
        findings.report(
            codes.DUPLICATE, tree.variable.span, f"`{name}` already has a meaning here", "", "use another name"
        )
    slot = findings.next_slot()
    findings.collections[slot] = collection
    variable = Local(name=name, slot=slot, type=element or UNKNOWN, span=tree.variable.span)
    before = len(findings.diagnostics)
    body = check(tree.body, env.binding(name, variable)).expr
    type_: Type = BOOL
    if tree.kind == "sum":
        body, type_ = _added(body, env)
    else:
        body = operands.need(body, BOOL, "a condition", findings)
    if element is not None and not mentions(tree.body, name) and len(findings.diagnostics) == before:
        findings.report(
            codes.UNUSED_VARIABLE, tree.variable.span, f"`{name}` is never used", *_unused(tree)
        )  # fmt: skip
    if slot in findings.recorded:
        collection = recorded(collection, findings) or collection
    return Quantifier(
        kind=tree.kind, variable=name, slot=slot, collection=collection, body=body, type=type_, span=tree.span
    )


def _unused(tree: ast.Quantifier) -> tuple[str, str]:
    if tree.kind == "sum":
        return (
            "the value added is the same for every element",
            f"write `size({tree.collection.span.text})` to count them",
        )
    return (
        "the condition is the same for every element",
        f"use it, or leave out `{tree.kind} {tree.variable.text} in ...:`",
    )


def _added(body: Expr, env: TypeEnv) -> tuple[Expr, Type]:
    """The values to add up, and the type of the sum."""
    body = operands.expect(body, NUMBER)
    if not is_numeric(body.type) and body.type not in (DURATION, UNKNOWN):
        env.place.findings.report(
            codes.WRONG_TYPE, body.span, f"`sum` adds numbers or durations, not {shown(body)}"
        )  # fmt: skip
        return body, UNKNOWN
    return body, body.type
