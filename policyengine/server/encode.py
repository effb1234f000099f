"""A decision as JSON: `{"decision": bool, "context": {...}}`.

`decision` is true for every allow, also if obligations are owed, as AuthZEN has it; then `context.obligations` is never
missing. `context` always has `reasons`, `determining`, `revision` and `summary`; the other members are present only if
they are not empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from policyengine.explain.display import trial_json
from policyengine.model.decision import Approval, Decision
from policyengine.model.values import json_default
from policyengine.server.errors import error_value
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
    if decision.determining_total:
        context["determining_total"] = decision.determining_total
    if decision.errors_total:
        context["errors_total"] = decision.errors_total
    if decision.tried:
        context["tried"] = [trial_json(each) for each in decision.tried]
    return {"decision": decision.decision == "allow", "context": context}


def decision_body(decision: Decision) -> bytes:
    """The bytes of a decision. The engine gives the same decision object for the same outcome; its bytes are kept."""
    kept, most = (_erring, _MOST_ERRING) if decision.errors else (_kept, _MOST)
    known = kept.get(id(decision))
    if known is not None and known[0] is decision:
        return known[1]
    body = value_body(decision_value(decision))
    if len(kept) >= most:
        kept.clear()
    kept[id(decision)] = (decision, body)
    return body


# By identity, with the decision itself, so that an identity is not reused while its bytes are kept. A plain dict: a
# lookup in a cache that forgets entries one by one takes as long as a decision.
_kept: dict[int, tuple[Decision, bytes]] = {}
_MOST = 4096
# Decisions with errors are long, and many of them occur only once.
_erring: dict[int, tuple[Decision, bytes]] = {}
_MOST_ERRING = 256


def failed_body(status: int, message: str, revision: str) -> bytes:
    """The answer to one item of a batch that is not a request: denied, with the error in its context."""
    context = {**error_value(status, message), "revision": revision}
    return value_body({"decision": False, "context": context})


def batch_body(answers: Iterable[bytes]) -> bytes:
    return b'{"evaluations":[' + b",".join(answers) + b"]}"


def list_body(name: str, answers: Iterable[bytes]) -> bytes:
    """An object with one list of answers."""
    return b'{"%b":[%b]}' % (name.encode("ascii"), b",".join(answers))


def _approval(approval: Approval) -> dict[str, Any]:
    value: dict[str, Any] = {"rule": approval.rule, "by": dict(approval.by)}
    if approval.within is not None:
        value["within"] = approval.within
    if approval.uses != 1:
        value["uses"] = approval.uses
    if approval.of != 1:
        value["of"] = approval.of
    return value


# The number of items of a list that are written at once: nothing else in the process runs meanwhile.
AT_ONCE = 200


def body_in_parts(value: dict[str, Any]) -> bytes:
    """The bytes of an object with long lists, written part by part; the result is the same as in one go."""
    return "".join(_parts(value)).encode("ascii")


def _parts(value: dict[str, Any]) -> Iterable[str]:
    before = "{"
    for name, part in value.items():
        yield f"{before}{_encode_text(name)}:"
        before = ","
        if type(part) is list and len(part) > AT_ONCE:
            for at in range(0, len(part), AT_ONCE):
                yield f"{',' if at else '['}{_encode_text(part[at : at + AT_ONCE])[1:-1]}"
            yield "]"
        else:
            yield _encode_text(part)
    yield "}" if value else "{}"


_encode_text = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=json_default).encode


def value_body(value: Mapping[str, Any]) -> bytes:
    """The bytes of an answer, such as a `decision_value` with additions."""
    return _encode_text(value).encode("ascii")
