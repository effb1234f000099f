"""The action as a whole, which is not a value: a rule reads its name and its attributes.

In: the expressions of a checked rule or claim. Out: a finding for each place where the action is read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from policyengine.check.environment import Findings
from policyengine.diagnostics import codes
from policyengine.ir.nodes import Attribute, Expr, Has, Identity, Root
from policyengine.ir.walk import children


def refuse_whole_actions(exprs: Iterable[Expr], findings: Findings) -> None:
    for part in chain.from_iterable(map(_values, exprs)):
        if not isinstance(part, Root) or part.name != "action":
            continue
        # A comparison with it has its error already.
        start, end = part.span.start, part.span.end
        if not any(f.is_error and f.span.start <= start and end <= f.span.end for f in findings.diagnostics):
            help_ = "read its name, `action.name`, or an attribute"
            findings.report(codes.WRONG_TYPE, part.span, "the action as a whole is not a value", "", help_)


def _values(expr: Expr) -> Iterator[Expr]:
    """The expression and its parts, but those of which only a name or an attribute is read."""
    yield expr
    todo = [expr]
    while todo:
        node = todo.pop()
        parts = children(node)
        todo += parts
        if not isinstance(node, Attribute | Has | Identity):
            yield from parts
