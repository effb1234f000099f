"""Traces in words: one clause that names what decided the outcome of a rule or an expression.

In: the data of `trace`. Out: text without line breaks, with policy text and values in backticks, and with hostile
characters of either as escapes.
"""

from __future__ import annotations

from policyengine.diagnostics.safe_text import visible
from policyengine.explain.display import brief
from policyengine.explain.naming import name_of, name_of_failed
from policyengine.explain.trace import Failure, RuleTrace, Trace, Value
from policyengine.ir.nodes import And, Const, Has, If, Not, Or, Quantifier, Root, Rule

_SHOWN = 2


def rule_why(one: RuleTrace) -> str:
    """What made the rule say what it said."""
    match one.outcome:
        case "not in scope":
            return "; ".join(visible(check.message) for check in one.scope if not check.held)
        case "error" if one.error is not None:
            failed = one.condition.result if one.condition is not None else None
            place = ""
            if one.condition is not None and isinstance(failed, Failure) and failed.span is not None:
                place = f"`{name_of_failed(one.condition, failed, one.rule)}`: "
            return f"{place}{visible(one.error.message)}"
    if one.condition is None or isinstance(one.condition.expr, Const):
        return "nothing more is asked" if one.outcome == "held" else "its condition is never true"
    return because(one.condition, one.rule)


def because(trace: Trace, rule: Rule) -> str:
    """The innermost part that made the expression true, false or an error, with the values it read."""
    if isinstance(trace.result, Failure):
        place = f"`{name_of_failed(trace, trace.result, rule)}`: " if trace.result.span is not None else ""
        return f"{place}{visible(trace.result.message)}"
    if not isinstance(trace.result, Value):
        return f"`{name_of(trace.expr, rule)}` was not reached"
    true = trace.result.value is True
    match trace.expr:
        case Not():
            return because(trace.parts[0], rule)
        case And() | Or():
            deciding = [part for part in trace.parts if part.is_worth(isinstance(trace.expr, Or))]
            if deciding:
                return because(deciding[-1], rule)
            more = f", and {len(trace.parts) - _SHOWN} more" if len(trace.parts) > _SHOWN else ""
            return ", and ".join(because(part, rule) for part in trace.parts[:_SHOWN]) + more
        case If():
            return because(next(part for part in trace.parts[1:] if part.result is not None), rule)
        case Quantifier(kind=kind):
            return _quantified(trace, kind, true, rule)
    read = " and ".join(f"`{name_of(part.expr, rule)}` is `{shown(part)}`" for part in reads(trace, rule))
    verdict = f"`{name_of(trace.expr, rule)}` is {'true' if true else 'false'}"
    return f"{verdict}, as {read}" if read else verdict


def _quantified(trace: Trace, kind: str, true: bool, rule: Rule) -> str:
    bodies = [part for part in trace.parts if part.element is not None]
    text = f"`{name_of(trace.expr, rule)}` is {'true' if true else 'false'}"
    count = f"{trace.count:,} element{'s' * (trace.count != 1)}"
    if not trace.count:
        return f"{text}, as `{name_of(trace.parts[0].expr, rule)}` is empty"
    if true is (kind == "all"):
        return f"{text}, as it holds for {'all' if true else 'none'} of {count}"
    element = bodies[-1].element
    assert element is not None
    return f"{text}, as for element {element.index + 1}, `{brief(element.value)}`: {because(bodies[-1], rule)}"


def reads(trace: Trace, rule: Rule) -> list[Trace]:
    """The innermost parts that were read and are not constants, each text once."""
    traces: dict[str, Trace] = {}
    for part in trace.parts:
        if part.parts and not _is_sum(part):
            traces |= {name_of(inner.expr, rule): inner for inner in reads(part, rule)}
        elif not isinstance(part.expr, Const) and part.result is not None and not _says_nothing(trace, part):
            traces.setdefault(name_of(part.expr, rule), part)
    return list(traces.values())


def _is_sum(part: Trace) -> bool:
    """Whether its own value says more than the values of some elements."""
    return isinstance(part.expr, Quantifier) and isinstance(part.result, Value)


def _says_nothing(trace: Trace, part: Trace) -> bool:
    """Whether a part adds nothing to its whole: an entity as such, if the question is what it has."""
    return isinstance(trace.expr, Has) and isinstance(part.expr, Root)


def shown(trace: Trace) -> str:
    """The value of a part, in brief."""
    if isinstance(trace.result, Failure):
        return visible(trace.result.message)
    if not isinstance(trace.result, Value):
        return "not reached"
    if isinstance(trace.expr, Root) and trace.expr.name == "context":
        return "the context"
    return brief(trace.result.value)
