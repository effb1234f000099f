"""The bounds that the arguments of a tool always have, as keywords of JSON Schema, so that a model knows them in
advance.

In: what remains of the policies for a tool of which only the name is known. Out: by argument, the bounds that every
allowed call keeps to. Bounds that depend on anything else (another argument, or where a value came from) are left out.
These are hints only: each call is decided on its arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from policyengine.bundle import Snapshot
from policyengine.model.argument_sources import ARGS
from policyengine.model.request import request
from policyengine.model.types import BOOL, INT, NUMBER, STRING
from policyengine.model.values import Fault
from policyengine.partial.formula import All, Formula, Matching, OneOf, Relation
from policyengine.partial.residual import Partial
from policyengine.schema.schema import CALL, TOOL

Keywords = dict[str, Any]
_ANYTHING = r"[\s\S]*"
_BOUNDS = {"<": "exclusiveMaximum", "<=": "maximum", ">": "exclusiveMinimum", ">=": "minimum"}
_NUMBERS, _PLAIN = (INT, NUMBER), (INT, NUMBER, STRING, BOOL)


def argument_limits(
    snapshot: Snapshot,
    principal: Mapping[str, Any],
    context: Mapping[str, Any],
    names: Iterable[str],
    partial: Partial | None = None,
) -> dict[str, dict[str, list[Keywords]]]:
    """The bounds by tool and argument. Tools without bounds are left out; for a malformed request the result is empty.
    `context` is the context of every call, including `session`. `partial` replaces the snapshot's own."""
    answering = snapshot.partial if partial is None else partial
    evaluator = snapshot.evaluator
    met = evaluator.met(evaluator.approvals, True)
    owed = frozenset(one.type for rule in snapshot.policies.rules for one in rule.obligations)
    limits = {}
    for name in names:
        tool = {"type": TOOL, "id": name}
        try:
            asked = request(principal, CALL, tool, dict(context))
        except Fault:
            return {}
        bounds = bounds_in(answering.residual(asked, "resource", tool, owed, met))
        if bounds:
            limits[name] = bounds
    return limits


def bounds_in(formula: Formula) -> dict[str, list[Keywords]]:
    """The bounds that a formula states for single arguments, by the names of these."""
    by_argument: dict[str, list[Keywords]] = {}
    for part in formula.items if isinstance(formula, All) else (formula,):
        path: tuple[str, ...] = getattr(part, "path", ())
        keywords = _keywords(part) if len(path) == 2 and path[0] == ARGS else None
        if keywords is not None:
            by_argument.setdefault(path[1], []).append(keywords)
    return by_argument


def _keywords(part: Formula) -> Keywords | None:
    match part:
        case Relation(type=type_, op="==", value=value) if type_ in _PLAIN:
            return {"const": value}
        case Relation(type=type_, op="!=", value=value) if type_ in _PLAIN:
            return {"not": {"const": value}}
        case Relation(type=type_, op=op, value=value) if type_ in _NUMBERS and op in _BOUNDS:
            return {_BOUNDS[op]: value}
        case OneOf(type=type_, values=values, negated=negated) if type_ in _PLAIN:
            return {"not": {"enum": list(values)}} if negated else {"enum": list(values)}
        case Matching(type=type_, pieces=pieces, negated=negated) if type_ == STRING:
            pattern = f"^{_ANYTHING.join(map(re.escape, pieces))}$"
            return {"not": {"pattern": pattern}} if negated else {"pattern": pattern}
    return None


def with_limits(schema: Mapping[str, Any], limits: Mapping[str, list[Keywords]]) -> dict[str, Any]:
    """The schema of a tool's arguments, with the bounds of the arguments that it declares."""
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return dict(schema)
    narrowed = {
        name: {"allOf": [one, *limits[name]]} if name in limits else one for name, one in properties.items()
    }  # fmt: skip
    return {**schema, "properties": narrowed}
