"""The operations beside the AuthZEN APIs, for the OpenAPI document: data, with a schema of each body.

`{id}` in a path is filled in by the caller. The service reads these bodies itself, and says there what it refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from policyengine.authzen import endpoints, examples
from policyengine.authzen.answers import Readiness, Voided
from policyengine.authzen.keys import CheckedKey, KeyInfo, KeyVerdict, MadeKey, NewKey, RevokedKey, RotatedKey
from policyengine.authzen.requests import Context, EvaluationRequest, Subject

Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """`request` is None if there is no body to send; `is_optional` says that the body may be left out."""

    path: str
    summary: str
    about: str
    response: Schema
    example: Any
    answer: str
    request: Schema | None = None
    examples: dict[str, Any] | None = None
    method: str = "post"
    is_optional: bool = False
    status: str = "200"


# ---- schemas ----


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
OBJECT: Schema = {"type": "object"}
NAMES: Schema = {"type": "array", "items": TEXT}
OBJECTS: Schema = {"type": "array", "items": OBJECT}
_SHORT: Schema = {"type": "string", "minLength": 1, "maxLength": 256}
_LEASE: Schema = {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400, "description": "in seconds"}
_WHO: dict[str, Schema] = {"subject": ref(Subject.__name__), "context": ref(Context.__name__)}


def fields(needed: dict[str, Schema], **others: Schema) -> Schema:
    made: Schema = {"type": "object", "properties": {**needed, **others}}
    return {**made, "required": sorted(needed)} if needed else made


_EVALUATION = ref(EvaluationRequest.__name__)
_METERED: Schema = {
    "allOf": [_EVALUATION, fields({}, session=_SHORT, idempotency_key=_SHORT, lease=_LEASE)],
    "description": "an evaluation, with what is to be remembered of it",
}
_GRANT = fields({"decision": {"type": "boolean"}, "context": OBJECT})
_GRANTED: Schema = {
    **examples.ALLOWED,
    "context": {
        "determining": ["models.chat"],
        "meters": [{"rule": "models.rate", "used": 1, "ceiling": 60, "remaining": 59, "resets_at": 1767225600.0}],
        "reservation": {"id": "r-1", "expires_at": 1767225600.0, "replayed": False},
    },
}
_METERS = fields({}, meters=OBJECTS)
_TASK = fields({"task": fields({"id": TEXT, "status": TEXT, "expires_at": TEXT})}, result=OBJECT)
_PENDING = {"task": {"id": "t1", "status": "pending", "expires_at": "2026-01-01T00:00:00Z"}}
_ON_TEXT = {**_WHO, "session": _SHORT, "fulfilled": NAMES}
_RELEASED = fields(
    {"decision": {"type": "boolean"}, "context": OBJECT, "released": {"type": "boolean"}}, findings=OBJECTS
)
_LET_OUT = {**examples.ALLOWED, "released": True, "text": "hello"}
_BLOCK = fields({"kind": TEXT, "id": TEXT}, seconds=NUMBER, why=TEXT)
_METER = {"rule": TEXT, "key": {"type": "array", "items": {}}, "why": TEXT}
_SUBJECT = examples.ONE["subject"]
_KEY = {
    "id": "3kq8w0f5m2xz", "name": "gateway", "state": "good", "scopes": ["decide"], "tenant": "acme", "addresses": [],
    "created": "2026-01-01T00:00:00Z", "expires": None, "secrets": 1,
}  # fmt: skip


# ---- operations ----

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        endpoints.EXPLAIN, "Explain one decision", "explain",
        fields({"decision": OBJECT, "why": TEXT, "actors": OBJECTS}, withheld={"type": "boolean"}),
        {"decision": {"decision": "allow"}, "why": "allowed by `support.own_documents`", "actors": []},
        "The decision of an evaluation, and what each rule said; nothing is charged or used",
        _EVALUATION, {"retrieval": examples.ONE, "tool call by an agent": examples.TOOL_CALL},
    ),
    Operation(
        endpoints.AUTHORIZE, "Authorize one request", "authorize", _GRANT, _GRANTED,
        "The decision, what the limits say, and what was reserved; with `?status=429` the status says so where a limit "
        "has no room",
        _METERED, {"once": {**examples.ONE, "idempotency_key": "order A-1"}},
    ),
    Operation(
        endpoints.AUTHORIZATIONS, "Authorize many requests", "authorize",
        fields({"authorizations": {"type": "array", "items": _GRANT}}), {"authorizations": [_GRANTED]},
        "The answers, in the order of the requests",
        fields({"authorizations": {"type": "array", "items": _METERED, "minItems": 1}}),
        {"one": {"authorizations": [examples.ONE]}},
    ),
    Operation(
        f"{endpoints.RESERVATIONS}{{id}}/settle", "Settle a reservation", "authorize", _METERS, {"meters": []},
        "What the limits say now", fields({}, cost=OBJECT), {"what it cost": {"cost": {"usd": 0.02}}},
    ),
    Operation(
        f"{endpoints.RESERVATIONS}{{id}}/renew", "Renew a reservation", "authorize", _METERS, {"meters": []},
        "What the limits say now", fields({}, lease=_LEASE), {"ten minutes": {"lease": 600}},
    ),
    Operation(
        f"{endpoints.RESERVATIONS}{{id}}/cancel", "Cancel a reservation", "authorize", OBJECT, {},
        "What was reserved is given back", OBJECT, {"it": {}},
    ),
    Operation(
        endpoints.SESSIONS, "Open a session", "authorize", fields({"session": TEXT}), {"session": "s-1"},
        "The session, of this subject", fields(_WHO), {"for a user": {"subject": _SUBJECT, "context": {}}},
    ),
    Operation(
        endpoints.RESULTS, "Record a result", "authorize", OBJECT, {}, "The session carries the labels from now on",
        fields({"subject": _WHO["subject"], "session": _SHORT}, context=_WHO["context"], tool=_SHORT, labels=NAMES),
        {"of a tool": {"subject": _SUBJECT, "session": "s-1", "tool": "fetch", "labels": ["untrusted"]}},
    ),
    Operation(
        endpoints.RELEASE, "Release a text", "release", _RELEASED, _LET_OUT,
        "Whether it may leave, and what of it; server-sent events are answered with such events",
        fields({"subject": _WHO["subject"]}, **_ON_TEXT, text=TEXT, json={}, output=OBJECT, sources=OBJECTS,
               expected=OBJECT),
        {"a text": {"subject": _SUBJECT, "text": "hello"}},
    ),
    Operation(
        endpoints.ADMIT, "Admit a text", "release", _RELEASED, _LET_OUT,
        "Whether it may go into the model, and what of it",
        fields({"subject": _WHO["subject"], "model": OBJECT}, **_ON_TEXT, text=TEXT, messages=OBJECTS),
        {"a text": {"subject": _SUBJECT, "text": "hello", "model": {"id": "m"}}},
    ),
    Operation(
        endpoints.DETOKENIZE, "Give tokenized values back", "release", _RELEASED, _LET_OUT, "The text with its values",
        fields({"subject": _WHO["subject"], "text": TEXT}, **_ON_TEXT, output=OBJECT),
        {"a text": {"subject": _SUBJECT, "text": "hello"}},
    ),
    Operation(
        endpoints.ACCESS_REQUESTS, "Ask for an approval", "approvals", _TASK, _PENDING, "The task",
        fields({"subject": ref(Subject.__name__), "action": OBJECT, "resource": OBJECT, "denial": OBJECT},
               context=OBJECT, client=OBJECT, callback=OBJECT, justification=TEXT),
        {"a denial": {**examples.ONE, "denial": {"binding_token": "eyJ..."}}}, status="202",
    ),
    Operation(
        f"{endpoints.ACCESS_REQUESTS}/{{id}}", "What became of a task", "approvals", _TASK, _PENDING, "The task",
        method="get",
    ),
    Operation(
        f"{endpoints.ACCESS_REQUESTS}/{{id}}/cancel", "Cancel a task", "approvals", _TASK, _PENDING, "The task",
        fields({}, reason=TEXT), {"why": {"reason": "no longer needed"}}, is_optional=True,
    ),
    Operation(
        endpoints.JWKS, "The keys with which this service signs", "approvals", fields({"keys": OBJECTS}), {"keys": []},
        "A JSON Web Key Set", method="get",
    ),
    Operation(
        endpoints.BLOCK, "Block somebody or something", "operation", fields({"block": OBJECT}),
        {"block": {"kind": "tenant", "id": "acme", "until": None}}, "The block", _BLOCK,
        {"a tenant, for ten minutes": {"kind": "tenant", "id": "acme", "seconds": 600, "why": "unpaid"}},
    ),
    Operation(
        endpoints.UNBLOCK, "End a block", "operation", OBJECT, {}, "It is blocked no more",
        fields({"kind": TEXT, "id": TEXT}, why=TEXT), {"a tenant": {"kind": "tenant", "id": "acme", "why": "paid"}},
    ),
    *(
        Operation(
            f"{endpoints.USAGE}/{what}", f"{summary} a meter", "operation", fields({"change": OBJECT}),
            {"change": {"rule": "models.rate"}}, "What was changed",
            fields({"rule": TEXT, **more}, **_METER), {"of a tenant": {"rule": "models.rate", "key": [], **said}},
        )
        for what, summary, more, said in (
            ("reset", "Reset", {}, {}),
            ("credit", "Credit", {"amount": NUMBER}, {"amount": 5}),
            ("raise", "Raise", {"amount": NUMBER, "seconds": NUMBER}, {"amount": 5, "seconds": 3600}),
        )
    ),
    Operation(
        endpoints.VOID, "Void all sessions and approvals from before", "operation", ref(Voided.__name__),
        {"before": 1_785_500_000.25}, "From when on they are good", fields({}, why=TEXT),
        {"a backup": {"why": "restored from last night's backup"}}, is_optional=True,
    ),
    Operation(
        endpoints.RELOAD, "Read the policies again", "operation", ref(Readiness.__name__),
        {"status": "ready", "revision": "1f0c2b7a9d3e"}, "Which policies answer, and what is wrong with newer ones",
        OBJECT, {"now": {}}, is_optional=True,
    ),
    Operation(
        endpoints.KEYS, "Make an API key", "operation", ref(MadeKey.__name__), {**_KEY, "key": "pe_sk_..."},
        "The key, and its text: it is not shown again", ref(NewKey.__name__),
        {"of a tenant": {"name": "gateway", "scopes": ["decide"], "tenant": "acme", "seconds": 7_776_000}},
    ),
    Operation(
        f"{endpoints.KEYS}/rotate", "Give an API key a new secret", "operation", ref(MadeKey.__name__),
        {**_KEY, "key": "pe_sk_..."}, "The key, and its new text: it is not shown again", ref(RotatedKey.__name__),
        {"in a day": {"id": _KEY["id"], "overlap": 86_400}},
    ),
    Operation(
        f"{endpoints.KEYS}/revoke", "End an API key", "operation", ref(KeyInfo.__name__), {**_KEY, "state": "revoked"},
        "The key; it is refused everywhere within a second", ref(RevokedKey.__name__), {"it": {"id": _KEY["id"]}},
    ),
    Operation(
        f"{endpoints.KEYS}/check", "Judge the text of an API key", "operation", ref(KeyVerdict.__name__),
        {"state": "good", "key": _KEY}, "What it is, and which key it is of", ref(CheckedKey.__name__),
        {"it": {"key": "pe_sk_..."}},
    ),
)  # fmt: skip
# Schemas that these name, beside those of the AuthZEN APIs.
NAMED = (Readiness, Voided, NewKey, RotatedKey, RevokedKey, CheckedKey, KeyInfo, MadeKey, KeyVerdict)
