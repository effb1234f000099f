"""A decision as JSON: `{"decision": bool, "context": {...}}`.

`decision` is true for every allow, owed obligations included, as AuthZEN has it; then `context.obligations` is never
missing. `context` always says `reasons`, `determining`, `revision` and `summary`; the other members are there when they
have something to say.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

from policyengine.model.decision import Approval, Decision
from policyengine.model.values import Entity
from policyengine.server.errors import RequestError, error_value
from policyengine.server.obligations import wire_obligation


def decision_value(decision: Decision) -> dict[str, Any]:
    context: dict[str, Any] = {
        "reasons": decision.reasons,
        "determining": decision.determining,
        "revision": decision.revision,
        "summary": decision.summary,
    }
    if decision.obligations:
        context["obligations"] = [wire_obligation(each) for each in decision.obligations]
    if decision.approvals:
        context["approvals"] = [_approval(each) for each in decision.approvals]
    if decision.limits:
        context["limits"] = decision.limits
    if decision.labels:
        context["labels"] = decision.labels
    if decision.errors:
        context["errors"] = [
            {"rule": each.rule, "code": each.code, "message": each.message} for each in decision.errors
        ]
    return {"decision": decision.decision == "allow", "context": context}


def decision_body(decision: Decision) -> bytes:
    """The bytes of a decision. Most decisions are made of a few rule names alone, and recur; those are encoded once."""
    if decision.obligations or decision.approvals or decision.errors:
        return _encode(decision_value(decision))
    return _recurring_body(
        decision.decision, decision.determining, decision.reasons, decision.limits, decision.labels, decision.revision
    )


@lru_cache(maxsize=4096)
def _recurring_body(
    decision: Literal["allow", "deny"],
    determining: tuple[str, ...],
    reasons: tuple[str, ...],
    limits: tuple[str, ...],
    labels: tuple[str, ...],
    revision: str,
) -> bytes:
    made = Decision(decision, determining, reasons, limits=limits, labels=labels, revision=revision)
    return _encode(decision_value(made))


def failed_body(error: RequestError, revision: str) -> bytes:
    """The answer to one item of a batch that is not a request: denied, with the error in its context."""
    context = {**error_value(error.status, error.message), "revision": revision}
    return _encode({"decision": False, "context": context})


def batch_body(answers: Iterable[bytes]) -> bytes:
    return b'{"evaluations":[' + b",".join(answers) + b"]}"


def _approval(approval: Approval) -> dict[str, Any]:
    value: dict[str, Any] = {"rule": approval.rule, "by": dict(approval.by)}
    if approval.within is not None:
        value["within"] = approval.within
    return value


def _plain(value: Any) -> Any:
    """The JSON of the engine's values, written as a request would write them."""
    match value:
        case timedelta():
            return _duration(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case IPv4Address() | IPv6Address():
            return str(value)
        case Entity():
            return {"type": value.uid.type, "id": value.uid.id}
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=repr)
        case _:
            raise TypeError(f"not a value of the engine: {type(value).__name__}")


def _duration(value: timedelta) -> str:
    milliseconds = value // timedelta(milliseconds=1)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


_encode_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode


def _encode(value: dict[str, Any]) -> bytes:
    return _encode_text(value).encode("ascii")
