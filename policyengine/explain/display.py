"""What an explanation shows: values, policy text and decisions as plain data that is safe to print and to send.

Nothing here raises for any value, however it got into a request; a value that is not JSON is shown as the name of its
type.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.source import Span
from policyengine.model.decision import Decision, Trial
from policyengine.model.request import Action
from policyengine.model.values import MAX_DEPTH, describe, to_json
from policyengine.syntax.comments import without_comments

BRIEF = 60
_ITEMS = 8


def json_value(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A value of the engine, or of a request, as JSON."""
    if depth == 0:
        return "(nested too deeply)"
    if type(value) is Action:
        value = {**value.attributes, "name": value.name}
    if isinstance(value, list | tuple):
        return [json_value(item, depth - 1) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((json_value(item, depth - 1) for item in value), key=repr)
    if isinstance(value, dict):
        return {str(name): json_value(item, depth - 1) for name, item in value.items()}
    value = to_json(value)
    if isinstance(value, dict | str | bool | int | None) or (isinstance(value, float) and isfinite(value)):
        return value
    return str(value) if isinstance(value, float) else f"({describe(value)})"


def brief(value: Any, limit: int = BRIEF) -> str:
    """A value in one line of about `limit` characters, with nothing hidden or reordered."""
    text = _brief(json_value(value), limit, 3)
    return text if len(text) <= limit * 2 else text[: limit * 2 - 3] + "..."


def _brief(value: Any, limit: int, depth: int) -> str:
    match value:
        case {"type": str(type_), "id": str(id_)} if len(value) == 2:
            return f"{visible(type_)}::{_brief(id_, limit, depth)}"
        case str():
            text = visible(json.dumps(value[: limit + 1], ensure_ascii=False))
            if len(value) <= limit:
                return text
            return f'{visible(json.dumps(value[:limit], ensure_ascii=False))[:-1]}..." ({len(value):,} characters)'
        case int() if abs(value) >= 10**40:
            return f"(an integer of {value.bit_length():,} bits)"
        case list() | dict() if value and depth == 0:
            return "[...]" if isinstance(value, list) else "{...}"
        case list():
            return f"[{_join([_brief(item, limit // 2, depth - 1) for item in value[:_ITEMS]], len(value), limit)}]"
        case dict():
            first = list(value.items())[:_ITEMS]
            inner = [f"{visible(str(name)[:40])}: {_brief(item, limit // 2, depth - 1)}" for name, item in first]
            return f"{{ {_join(inner, len(value), limit)} }}" if value else "{}"
    return json.dumps(value)


def _join(texts: list[str], count: int, limit: int) -> str:
    """As many of the texts as fit, at least one, and how many of `count` are left out."""
    kept: list[str] = []
    for text in texts:
        if kept and sum(map(len, kept)) + 2 * len(kept) + len(text) > limit:
            break
        kept.append(text)
    left = count - len(kept)
    return ", ".join([*kept, f"... {left:,} more"] if left else kept)


def code(span: Span, limit: int = 100) -> str:
    """The policy text of a place in one line, without comments."""
    return shortened(without_comments(span.text), limit)


def shortened(text: str, limit: int) -> str:
    """A text in which nothing is hidden, of at most `limit` characters."""
    text = visible(text)
    return text if len(text) <= limit else text[: limit - 3].rstrip() + "..."


def trial_json(trial: Trial) -> dict[str, Any]:
    """What a rule on trial would have done, as JSON."""
    said = {"rule": trial.rule, "kind": trial.kind, "decision": trial.decision, "changes": trial.changes}
    error = {"code": trial.error.code, "message": trial.error.message} if trial.error is not None else None
    return {**said, "obligations": list(trial.obligations), **({"error": error} if error is not None else {})}


def decision_json(decision: Decision) -> dict[str, Any]:
    """A decision as JSON, in the words of the Python API."""
    return {
        "decision": decision.decision,
        "allowed": decision.allowed,
        "summary": decision.summary,
        "determining": list(decision.determining),
        "reasons": list(decision.reasons),
        "obligations": [
            {"id": o.id, "type": o.type, "properties": json_value(dict(o.properties))} for o in decision.obligations
        ],
        "approvals": [{"rule": a.rule, "by": json_value(dict(a.by)), "within": a.within} for a in decision.approvals],
        "limits": list(decision.limits),
        "labels": list(decision.labels),
        "errors": [
            {"rule": e.rule, "code": e.code, "message": e.message, "location": e.location} for e in decision.errors
        ],
        "revision": decision.revision,
        **({"determining_total": decision.determining_total} if decision.determining_total else {}),
        **({"errors_total": decision.errors_total} if decision.errors_total else {}),
        **({"tried": [trial_json(one) for one in decision.tried]} if decision.tried else {}),
    }
