"""Traces as JSON, for tools that draw their own. An expression has a `value`, an `error`, or is `skipped`."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from policyengine.diagnostics.render import location
from policyengine.explain.display import json_value
from policyengine.explain.naming import name_of
from policyengine.explain.trace import Failure, RuleTrace, Trace, Value
from policyengine.explain.why import rule_why
from policyengine.ir.nodes import Root, Rule

# The most rules that are shown if there is a bound; those that decided come first.
MOST_RULES = 1_000


@dataclass(slots=True)
class Room:
    """How many characters of conditions, and how many rules, may still be shown."""

    left: int
    rules: int = MOST_RULES


def rules_json(rules: Sequence[RuleTrace], first: Collection[str], room: Room | None = None) -> list[dict[str, Any]]:
    """What rules said. If there is no room for all conditions, the rules in `first` get it first; the others are
    `shortened`: they have everything but their condition. Of very many rules, those that did something are shown."""
    if room is None:
        return [rule_json(one) for one in rules]
    told_rules: dict[int, dict[str, Any]] = {}
    ordered = sorted(rules, key=lambda each: (each.rule.name not in first, each.outcome not in _DID))
    for one in ordered[: room.rules]:
        shown = rule_json(one, with_condition=room.left > 0)
        size = len(json.dumps(shown["condition"])) if "condition" in shown else 0
        if size > max(room.left, 0):
            del shown["condition"]
        if one.condition is not None and "condition" not in shown:
            shown["shortened"] = True
        # One that did not fit took as long to write as one that did.
        room.left -= size
        told_rules[id(one)] = shown
    room.rules -= len(told_rules)
    return [told_rules[id(one)] for one in rules if id(one) in told_rules]


# What the rules say that matter most.
_DID = frozenset({"held", "error"})


def rule_json(one: RuleTrace, with_condition: bool = True) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": one.rule.name,
        "kind": one.rule.kind,
        "outcome": one.outcome,
        "why": rule_why(one),
        "reason": one.rule.reason,
        "location": location(one.rule.span),
        "scope": [{"of": c.subject, "kind": c.kind, "held": c.held, "message": c.message} for c in one.scope],
    }
    if one.rule.tried:
        told["tried"] = True
    if one.error is not None:
        told["error"] = {"code": one.error.code, "message": one.error.message, "location": one.error.location}
    if one.condition is not None and with_condition:
        told["condition"] = trace_json(one.condition, one.rule)
    return told


def trace_json(trace: Trace, rule: Rule) -> dict[str, Any]:
    told: dict[str, Any] = {
        "kind": type(trace.expr).__name__.lower(),
        "text": name_of(trace.expr, rule, 10_000),
        "location": location(trace.span),
    }
    match trace.result:
        case Value(value=value):
            # The context is everything that the caller sent; the parts that were read are shown where they were read.
            if not (isinstance(trace.expr, Root) and trace.expr.name == "context"):
                told["value"] = json_value(value)
        case Failure(code=id_, message=message, span=span):
            told["error"] = {"code": id_, "message": message, "location": location(span) if span is not None else None}
        case None:
            told["skipped"] = True
    if trace.element is not None:
        name, index, value = trace.element.name, trace.element.index, json_value(trace.element.value)
        told["element"] = {"name": name, "index": index, "value": value}
    if trace.count is not None:
        told["count"] = trace.count
    if trace.parts:
        told["parts"] = [trace_json(part, rule) for part in trace.parts]
    return told
