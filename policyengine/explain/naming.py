"""What an explanation calls a part of a condition.

That is its text in the policy. Within a definition that text names the definition's parameters, which mean nothing to
someone who reads about one rule. There the text is written anew, with the arguments in place of the parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

from policyengine.diagnostics.source import Span
from policyengine.explain.display import code, shortened
from policyengine.explain.trace import Failure, Trace
from policyengine.ir.nodes import Arguments, Attribute, Const, Expr, Local, Quantifier, Root, Rule
from policyengine.ir.walk import walk
from policyengine.ir.write import Unwritable, Words, written
from policyengine.syntax.quoting import is_identifier


def name_of(expr: Expr, rule: Rule, limit: int = 100) -> str:
    """The text of a part of a rule, in one line."""
    if _is_within(expr.span, rule.span):
        return code(expr.span, limit)
    parts = [part for part in walk(expr) if not isinstance(part, Const | Arguments)]
    if all(_is_within(part.span, expr.span) for part in parts):
        return code(expr.span, limit)
    try:
        return shortened(written(expr, _words(parts)), limit)
    except (Unwritable, KeyError):
        return code(expr.span, limit)


def name_of_failed(trace: Trace, failure: Failure, rule: Rule) -> str:
    """The text of what has no value."""
    for part in walk(trace.expr):
        if part.span == failure.span and part.span is not None:
            return name_of(part, rule)
    return code(failure.span) if failure.span is not None else ""


def _is_within(inner: Span, outer: Span) -> bool:
    return inner.source is outer.source and outer.start <= inner.start and inner.end <= outer.end


def _words(parts: Sequence[Expr]) -> Words:
    """The names that the policy has for what is read."""
    resource, context, variables = "resource", set[str](), dict[int, str]()
    bound = {part.slot for part in parts if isinstance(part, Quantifier)}
    for part in parts:
        text = part.span.text
        match part:
            case Root(name="resource") if is_identifier(text):
                resource = text
            case Attribute(base=Root(name="context"), name=name) if text == name:
                context.add(name)
            case Local(slot=slot) if slot not in bound:
                variables[slot] = text
    return Words(resource, frozenset(context), locals=variables)
