"""What each evaluator says, as the Outcome that a case expects; and the forms that a case's request has."""

from __future__ import annotations

import math
from typing import Any

from policyengine.model.decision import Decision
from tests.cases.case_files import Outcome


def outcome(decision: Decision) -> Outcome:
    return Outcome(
        decision.decision,
        decision.determining,
        tuple(sorted(f"{e.rule} {e.code}".strip() for e in decision.errors)),
        tuple(sorted(o.type for o in decision.obligations)),
        tuple(a.rule for a in decision.approvals),
        decision.limits,
        decision.labels,
    )


def wire_outcome(answer: dict[str, Any]) -> Outcome:
    context = answer["context"]
    named = {"step-up": "step_up"}
    types = [o["properties"]["action"] if o["type"] == "custom" else o["type"] for o in context.get("obligations", [])]
    return Outcome(
        "allow" if answer["decision"] else "deny",
        tuple(context["determining"]),
        tuple(sorted(f"{e['rule']} {e['code']}".strip() for e in context.get("errors", []))),
        tuple(sorted(named.get(t, t) for t in types)),
        tuple(a["rule"] for a in context.get("approvals", [])),
        tuple(context.get("limits", [])),
        tuple(context.get("labels", [])),
    )


def keywords(asked: dict[str, Any]) -> dict[str, Any]:
    """The keywords of `Engine.decide`."""
    return {name: asked.get(name) for name in ("principal", "action", "resource", "context")}


def authzen(asked: dict[str, Any]) -> dict[str, Any]:
    action = asked["action"]
    if isinstance(action, str):
        action = {"name": action}
    elif isinstance(action, dict):
        action = {"name": action.get("name"), "properties": {k: v for k, v in action.items() if k != "name"}}
    found = {"subject": _entity(asked["principal"]), "action": action, "resource": _entity(asked["resource"])}
    return found if asked["context"] is None else {**found, "context": asked["context"]}


def metering(asked: dict[str, Any]) -> dict[str, Any]:
    """The request of a caller that meters: of any other, what a limit applies to is denied."""
    context = asked.get("context", {})
    return {**asked, "context": {**context, "metered_limits": True}} if isinstance(context, dict) else asked


def beside(asked: dict[str, Any]) -> dict[str, Any]:
    """AuthZEN's words around entities whose attributes stand beside `id`."""
    found = authzen(asked)
    return {**found, "subject": asked["principal"], "resource": asked["resource"]}


def told(answer: dict[str, Any]) -> Outcome:
    """What the command line prints."""
    return Outcome(
        answer["decision"],
        tuple(answer["determining"]),
        tuple(sorted(f"{e['rule']} {e['code']}".strip() for e in answer["errors"])),
        tuple(sorted(o["type"] for o in answer["obligations"])),
        tuple(a["rule"] for a in answer["approvals"]),
        tuple(answer["limits"]),
        tuple(answer["labels"]),
    )


def _entity(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    outside = {k: v for k, v in value.items() if k in ("type", "id", "parents")}
    return {**outside, "properties": {k: v for k, v in value.items() if k not in outside}}


def refusable(value: Any) -> bool:
    """Whether the service may refuse it: a number that JSON cannot carry, or malformed `parents`."""
    if isinstance(value, dict):
        return any(refusable(v) or (k == "parents" and not are_entities(v)) for k, v in value.items())
    if isinstance(value, list):
        return any(map(refusable, value))
    return isinstance(value, float) and not math.isfinite(value)


def are_entities(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(v, dict) and {"type", "id"} <= v.keys() for v in value)
