"""A traced condition as the lines of a tree: each part with its mark, its text, and the values that it read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from rich.cells import cell_len
from rich.text import Text

from policyengine.diagnostics.safe_text import visible
from policyengine.explain.display import brief
from policyengine.explain.naming import name_of
from policyengine.explain.trace import Failure, Trace, Value
from policyengine.explain.why import shown
from policyengine.ir.nodes import And, Const, Has, If, Not, Or, Quantifier, Root, Rule

_MIN_TEXT = 24
# The most characters of an element's value before the text that it was tried on.
_LABEL = 24


@dataclass(frozen=True, slots=True)
class _Drawing:
    rule: Rule
    width: int


def condition_lines(trace: Trace, rule: Rule, width: int) -> Iterator[Text]:
    """The tree of a rule's condition; the parts of an `and` at the top are its branches."""
    drawing = _Drawing(rule, width)
    branches = trace.parts if isinstance(trace.expr, And) else (trace,)
    yield from _branches(branches, "  ", drawing)


def _branches(parts: tuple[Trace, ...], prefix: str, drawing: _Drawing) -> Iterator[Text]:
    for part in parts:
        last = part is parts[-1]
        yield from _node(part, f"{prefix}{'└─' if last else '├─'} ", f"{prefix}{'   ' if last else '│  '}", drawing)


def _node(trace: Trace, lead: str, below: str, drawing: _Drawing) -> Iterator[Text]:
    mark, hue = _mark(trace)
    line = Text.assemble((lead, "dim"), (f"{mark} ", f"bold {hue}" if hue else "bold"))
    if trace.element is not None:
        line.append(f"{visible(trace.element.name)} = {brief(trace.element.value, _LABEL)}: ", "cyan")
    room = max(_MIN_TEXT, drawing.width - line.cell_len)
    line.append(name_of(trace.expr, drawing.rule, room), "dim" if trace.result is None else "")
    branches = _inner(trace)
    values = list(_values(trace, drawing.rule)) if trace.result is not None else []
    place = _elsewhere(trace, drawing.rule)
    line_width = line.cell_len + sum(3 + cell_len(value) for value in values)
    if line_width + (2 + len(place) if place else 0) <= drawing.width:
        for value in values:
            line.append(f"   {value}", "cyan")
        values = []
    if place and line.cell_len + 2 + len(place) <= drawing.width:
        line.append(f"  {place}", "dim")
    yield line
    stem = f"{below}{'│ ' if branches else '  '}"
    for value in values:
        text = Text.assemble((stem, "dim"), (f"  {value}", "cyan"))
        text.truncate(drawing.width, overflow="ellipsis")
        yield text
    problem = _own_problem(trace)
    if problem:
        yield Text.assemble((stem, "dim"), (f"  {problem}", "yellow"))
    yield from _branches(branches, below, drawing)


def _mark(trace: Trace) -> tuple[str, str]:
    match trace.result:
        case None:
            return "·", "dim"
        case Failure():
            return "!", "yellow"
        case Value(value=True):
            return "✓", "green"
        case Value(value=False):
            return "✗", "red"
    return "=", ""


def _inner(trace: Trace) -> tuple[Trace, ...]:
    """The parts that have a line of their own."""
    match trace.expr:
        case And() | Or() | Not() | If():
            return trace.parts
        case Quantifier():
            return trace.parts[1:]
    return ()


def _values(trace: Trace, rule: Rule) -> Iterator[str]:
    """The values of the parts without a line of their own, each text once: `name = value`."""
    if isinstance(trace.expr, And | Or | Not | If):
        return
    parts = trace.parts[:1] if isinstance(trace.expr, Quantifier) else trace.parts
    if isinstance(trace.expr, Has):
        parts = tuple(part for part in parts if not isinstance(part.expr, Root))
    seen: set[str] = set()
    todo = list(reversed(parts))
    while todo:
        part = todo.pop()
        text = name_of(part.expr, rule, 60)
        if not isinstance(part.expr, Const) and part.result is not None and text not in seen:
            seen.add(text)
            if isinstance(part.result, Value):
                yield f"{text} = {shown(part)}"
            elif not part.parts or not any(isinstance(inner.result, Failure) for inner in part.parts):
                yield f"{text}: {shown(part)}"
        # The elements of a sum would be shown as one.
        todo.extend(reversed(part.parts[:1] if isinstance(part.expr, Quantifier) else part.parts))
    if trace.count is not None:
        bodies = [part for part in trace.parts if part.element is not None]
        if 0 < len(bodies) < trace.count and len(bodies) > 1:
            yield f"{len(bodies)} of {trace.count:,} elements shown"


def _own_problem(trace: Trace) -> str:
    """The error that occurred here, not in a part that shows it."""
    if not isinstance(trace.result, Failure) or any(isinstance(part.result, Failure) for part in trace.parts):
        return ""
    return visible(trace.result.message)


def _elsewhere(trace: Trace, rule: Rule) -> str:
    """The place of a part that is not in the rule's own text but in a definition."""
    span = trace.span
    if span.source is rule.span.source and rule.span.start <= span.start and span.end <= rule.span.end:
        return ""
    line = span.line_col[0]
    name = "line " if span.source is rule.span.source else f"{visible(PurePath(span.source.path).name)}:"
    return f"({name}{line})"
