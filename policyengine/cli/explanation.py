"""Draws an Explanation on the policy's own text, as lines for a terminal.

Marks say what became of a condition: ✓ it is true, ✗ it is false, ! it has no value, · it was not reached. Colours say
what that means for the request. Everything from outside passes `visible`, `brief` or `code`, so that no value can
control the terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from rich.text import Text

from policyengine.cli.condition import condition_lines
from policyengine.diagnostics.safe_text import visible
from policyengine.explain.explanation import ActorTrace, Explanation
from policyengine.explain.trace import RuleTrace
from policyengine.explain.why import rule_why
from policyengine.ir.nodes import Const, Rule
from policyengine.model.decision import Decision

MARKS = {"held": "✓", "did not hold": "✗", "error": "!", "not in scope": "·"}
# The most lines of one rule that are shown.
MAX_LINES = 24
_ORDER = ("held", "error", "did not hold")

_MEANING = {
    ("permit", "held"): "holds, so it grants the request",
    ("permit", "error"): "cannot be evaluated, so it grants nothing",
    ("forbid", "held"): "holds, so it denies the request",
    ("forbid", "error"): "cannot be evaluated, so it denies the request",
    ("limit", "held"): "applies",
    ("limit", "error"): "cannot be evaluated, so it denies the request",
    ("label", "held"): "holds, so the session is labelled",
    ("label", "error"): "cannot be evaluated, so the session is labelled",
}


def draw(explanation: Explanation, width: int, detailed: bool = False) -> Iterator[Text]:
    """The whole explanation. `detailed` draws the text of a rule that is not in scope, too."""
    decision = explanation.decision
    yield _headline(explanation)
    if len(explanation.actors) != 1:
        yield Text(f"  {visible(decision.summary)}")
    for actor in explanation.actors:
        if len(explanation.actors) > 1:
            yield Text()
            title = f"{actor.role} {visible(str(actor.entity))}: {actor.decision.decision}"
            yield Text(f"── {title} {'─' * max(2, width - len(title) - 4)}", _hue(actor.decision.decision))
        yield from _actor(actor, width, detailed)


def _headline(explanation: Explanation) -> Text:
    decision, request = explanation.decision, explanation.request
    line = Text.assemble((decision.decision.upper(), f"bold {_hue(decision.decision)}"))
    if request is not None:
        asked = f"{request.principal.uid}  {request.action.name}  {request.resource.uid}"
        line.append(f"  {visible(asked)}", "bold")
    return line


def _hue(decision: str) -> str:
    return "green" if decision == "allow" else "red"


def _actor(actor: ActorTrace, width: int, detailed: bool) -> Iterator[Text]:
    yield Text(f"  {visible(actor.decision.summary)}")
    for reason in actor.decision.reasons:
        yield Text(f"  reason: {visible(reason)}", "italic")
    for miss in actor.closest:
        yield from _wrapped(f"  closest: {miss.why}", width, "cyan")
    first = actor.decision.determining or tuple(miss.rule.name for miss in actor.closest)
    spoken = [traced for traced in actor.rules if detailed or traced.outcome != "not in scope"]
    for traced in sorted(spoken, key=lambda traced: _rank(traced, first)):
        yield Text()
        yield from _rule(traced, actor.decision, width)
    silent = [traced for traced in actor.rules if traced not in spoken]
    if silent:
        yield Text()
        yield Text("not in scope", "dim")
        for traced in silent:
            yield from _wrapped(f"  · {traced.rule.kind} {traced.rule.name}: {rule_why(traced)}", width, "dim")


def _rank(traced: RuleTrace, first: tuple[str, ...]) -> tuple[bool, int, str]:
    order = _ORDER.index(traced.outcome) if traced.outcome in _ORDER else len(_ORDER)
    return traced.rule.name not in first, order, traced.rule.name


# ---- one rule ----


def _rule(traced: RuleTrace, decision: Decision, width: int) -> Iterator[Text]:
    rule = traced.rule
    decided = rule.name in decision.determining
    hue = "red" if decided and decision.decision == "deny" else _rule_hue(traced)
    head = Text.assemble((f"{MARKS[traced.outcome]} {rule.kind} {rule.name}", f"bold {hue}"))
    head.append(f" {_meaning(traced, decision)}", hue)
    if decided:
        head.append("  ← decides", "bold")
    place = visible(str(rule.span))
    gap = width - head.cell_len - len(place)
    if gap >= 2:
        head.append(" " * gap + place, "dim")
    yield head
    first, last, after = _lines(rule)
    gutter = len(str(last))
    for number in range(first, last + 1):
        text = visible(rule.span.source.line(number).replace("\t", "    "))
        yield _cut(Text.assemble((f"  {number:>{gutter}} │ ", "blue"), (text, "")), width)
        if number == after:
            for line in _verdict(traced, width - gutter - 5):
                yield Text.assemble((f"  {' ' * gutter} │ ", "blue"), line)


def _verdict(traced: RuleTrace, width: int) -> Iterator[Text]:
    if traced.outcome == "not in scope" or traced.condition is None:
        for check in traced.scope:
            if not check.held:
                yield Text(f"  {visible(check.message)}", "yellow" if traced.outcome == "error" else "")
    elif not isinstance(traced.condition.expr, Const):
        yield from condition_lines(traced.condition, traced.rule, width)


def _rule_hue(traced: RuleTrace) -> str:
    """Green for what helps the request, red for what stops it, yellow for what is owed or went wrong."""
    if traced.rule.tried:
        return "dim"
    match traced.rule.kind, traced.outcome:
        case _, "not in scope":
            return "dim"
        case "permit", "held":
            return "green"
        case ("forbid", "held" | "error") | ("limit", "error"):
            return "red"
        case _, "error":
            return "yellow"
        case (("require" | "limit" | "label"), "held"):
            return "yellow"
        case "permit", _:
            return "red"
    return "default"


def _meaning(traced: RuleTrace, decision: Decision) -> str:
    """What the outcome means for the request, in words."""
    if traced.outcome in ("not in scope", "did not hold"):
        return "is not in scope" if traced.outcome == "not in scope" else "does not hold"
    if traced.rule.tried:
        return _tried(traced, decision)
    if traced.rule.kind != "require":
        return _MEANING[traced.rule.kind, traced.outcome]
    outcome = "holds" if traced.outcome == "held" else "cannot be evaluated"
    if traced.rule.demands_approval:
        return f"{outcome}, so an approval is needed"
    if traced.rule.on_deny is (decision.decision == "allow"):
        return f"{outcome}, but owes nothing when the decision is {decision.decision}"
    owed = ", ".join(dict.fromkeys(spec.type for spec in traced.rule.obligations))
    return f"{outcome}, so the caller owes: {owed}"


def _tried(traced: RuleTrace, decision: Decision) -> str:
    """What a rule on trial would mean in force."""
    outcome = "is on trial, and holds" if traced.outcome == "held" else "is on trial, and cannot be evaluated"
    trial = next((each for each in decision.tried if each.rule == traced.rule.name), None)
    if trial is None or not trial.changes:
        return f"{outcome}; in force it would change nothing"
    owed = f", owing {', '.join(trial.obligations)}" if trial.obligations else ""
    return f"{outcome}; in force the decision would be {trial.decision}{owed}"


def _lines(rule: Rule) -> tuple[int, int, int]:
    """The first and last line of a rule's text, and the line below which its condition is drawn."""
    first, last = rule.span.line_col[0], rule.span.end_line_col[0]
    after, span = last, rule.condition.span
    if span.source is rule.span.source and rule.span.start <= span.start and span.end <= rule.span.end:
        after = span.end_line_col[0]
    last = min(last, first + MAX_LINES - 1)
    return first, last, min(after, last)


def _cut(line: Text, width: int) -> Text:
    if line.cell_len > width:
        line.truncate(width, overflow="ellipsis")
    return line


def _wrapped(text: str, width: int, style: str) -> Iterator[Text]:
    """Text in lines that fit, by words."""
    for line in wrap(text, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False):
        yield Text(line, style)
