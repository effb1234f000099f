"""The endpoints with state: authorize, reservations, and sessions.

A request to authorize is an evaluation with `session`, `idempotency_key` and `lease` beside its subject. Only the
caller that made a reservation may settle it. `?status=429` asks for that status if a limit has no room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from policyengine.authzen import read
from policyengine.authzen.endpoints import RESERVATIONS
from policyengine.authzen.errors import Malformed, Misspelt
from policyengine.callers.caller import Caller
from policyengine.diagnostics import codes
from policyengine.engine import Engine
from policyengine.evaluate.combine import denied
from policyengine.model.decision import RuleError
from policyengine.server import encode, grants
from policyengine.server.access.denials import Denials
from policyengine.server.access.request_hints import AccessHints
from policyengine.server.bind import Binding
from policyengine.server.errors import RequestError
from policyengine.server.json_members import names_in, text_in
from policyengine.server.obligations import negotiate
from policyengine.server.pipeline import Question, Reply
from policyengine.server.record import Decided
from policyengine.state.authorize import APPROVAL
from policyengine.state.grant import Grant, SettleError, grant_json
from policyengine.state.operations import ENDED, REUSED, SPENT
from policyengine.state.session_calls import UnknownSession
from policyengine.state.stateful_rules import SESSION

# The longest lease, in seconds.
LONGEST_LEASE = 86_400.0


def authorize(engine: Engine, body: bytes, caller: Caller, *, binding: Binding, desk: AccessHints) -> Reply:
    """`POST /v1/authorize`. Raises Malformed and RequestError."""
    return _authorized(engine, read.json_object(body), caller, binding, Denials(desk, caller, _nothing))


def authorize_many(
    engine: Engine, body: bytes, caller: Caller, *, binding: Binding, desk: AccessHints, most: int
) -> Reply:
    """`POST /v1/authorizations`: each as by `/v1/authorize`, one after the other, with the answers in order. A
    malformed one is denied by itself. Raises Malformed and RequestError."""
    items = read.json_object(body).get("authorizations")
    if type(items) is not list or not items:
        raise Malformed("`authorizations` must be a list of requests")
    if len(items) > most:
        raise RequestError(413, f"there are more than {most} requests, and each is metered")
    denials = Denials(desk, caller, _nothing)
    answers: list[bytes] = []
    decided: list[Decided] = []
    for item in items:
        try:
            if type(item) is not dict:
                raise Malformed("a request must be an object")
            reply = _authorized(engine, item, caller, binding, denials)
        except Malformed as error:
            answers.append(encode.failed_body(400, error.message, engine.revision))
        except RequestError as error:
            answers.append(encode.failed_body(error.status, error.message, engine.revision))
        else:
            answers.append(reply.body)
            decided += reply.decided
    return Reply(encode.list_body("authorizations", answers), decided, len(answers) - len(decided))


def _nothing(_: int) -> dict[str, Any]:
    return {}


def _authorized(engine: Engine, value: dict[str, Any], caller: Caller, binding: Binding, denials: Denials) -> Reply:
    value = binding.silent(caller, value)
    session, key = text_in(value, "session"), text_in(value, "idempotency_key")
    lease = _lease(value)
    try:
        asked = read.evaluation({k: v for k, v in value.items() if k not in _OWN})
    except Misspelt as error:
        refused = denied(RuleError("", codes.MISSPELT.id, error.message), engine.revision)
        return Reply(encode.decision_body(refused), (), 1)
    asked = binding.arguments(caller, engine.snapshot, asked)
    grant = engine.authorize(
        principal=asked["principal"],
        action=asked["action"],
        resource=asked["resource"],
        context=asked["context"],
        session=session,
        idempotency_key=key,
        lease=lease,
        caller=grants.owner(caller),
        opens=False,
        approval=denials.desk.presented(asked["context"]) if APPROVAL in asked["context"] else None,
        tenant=caller.tenant,
        accepts=partial(negotiate, context=asked["context"]),
    )
    if any(error.code == codes.REUSED.id for error in grant.decision.errors):
        raise RequestError(409, REUSED)
    decision = grants.honoured(grant, asked["context"])
    answer = encode.decision_value(decision)
    wire = value if session is None else {**value, "context": {**value.get("context", {}), SESSION: session}}
    denials.wire = lambda _: wire
    answer["context"] |= grant_json(grant) | denials.of_grant(grant, engine)
    if decision.decision != grant.decision.decision:
        answer["context"].pop("reservation", None)
    return Reply(
        encode.value_body(answer),
        ((asked, decision),),
        0,
        headers=grants.headers(grant),
        status_if_asked=grants.status(grant),
    )


_OWN = ("session", "idempotency_key", "lease")


# ---- reservations ----


def reservation(path: str) -> Question | None:
    """The question at a path below `/v1/reservations/`."""
    id_, _, what = path.removeprefix(RESERVATIONS).partition("/")
    handle = _RESERVATIONS.get(what)
    if handle is None or not id_ or not path.startswith(RESERVATIONS):
        return None
    return Question(what, partial(_changed, id_, handle), thread_body=0, kind="waiting")


def _changed(
    id_: str, change: Callable[[Grant, Mapping[str, Any]], dict[str, Any]], engine: Engine, body: bytes, caller: Caller
) -> Reply:
    value = read.json_object(body)
    try:
        grant = engine.reservation(id_, caller=grants.owner(caller))
        if grant is None:
            raise RequestError(404, "there is no such reservation")
        return Reply(encode.value_body(change(grant, value)), (), 0)
    except SettleError as error:
        raise RequestError(409 if str(error) in (ENDED, SPENT) else 400, str(error)) from None


def _settled(grant: Grant, value: Mapping[str, Any]) -> dict[str, Any]:
    cost = value.get("cost", {})
    if type(cost) is not dict:
        raise Malformed("`cost` must be an object")
    grant.settle(cost)
    return grant_json(grant)


def _renewed(grant: Grant, value: Mapping[str, Any]) -> dict[str, Any]:
    grant.renew(_lease(value))
    return grant_json(grant)


def _cancelled(grant: Grant, _: Mapping[str, Any]) -> dict[str, Any]:
    grant.cancel()
    return {}


_RESERVATIONS = {"settle": _settled, "renew": _renewed, "cancel": _cancelled}


# ---- sessions ----


def open_session(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Reply:
    """`POST /v1/sessions`: a session for a subject, in the tenant of the context. Raises Malformed and RequestError."""
    principal, context = _holder(engine, read.json_object(body), caller, binding)
    return Reply(encode.value_body({"session": engine.sessions.open(principal, context)}), (), 0)


def record_result(engine: Engine, body: bytes, caller: Caller, *, binding: Binding) -> Reply:
    """`POST /v1/results`: a tool returned, and the session has these labels from now on."""
    value = read.json_object(body)
    principal, context = _holder(engine, value, caller, binding)
    session, tool = text_in(value, "session"), text_in(value, "tool") or ""
    labels = names_in(value, "labels")
    if session is None:
        raise Malformed("`session` is missing")
    try:
        engine.sessions.record_result(session, principal, context, tool=tool, labels=labels)
    except UnknownSession as error:
        raise RequestError(404, str(error)) from None
    return Reply(encode.value_body({}), (), 0)


def _holder(engine: Engine, value: dict[str, Any], caller: Caller, binding: Binding) -> tuple[Any, Any]:
    """The subject and the context of a request about a session, read like those of an evaluation."""
    value = binding.silent(caller, value)
    whole = {"subject": value.get("subject"), "context": value.get("context", {})}
    nothing = {"action": {"name": "session"}, "resource": {"type": "Session", "id": "session"}}
    asked = binding.arguments(caller, engine.snapshot, read.evaluation({**nothing, **whole}))
    return asked["principal"], asked["context"]


# ---- members ----


def _lease(value: Mapping[str, Any]) -> float:
    lease = value.get("lease", 600)
    if type(lease) not in (int, float) or not 0 < lease <= LONGEST_LEASE:
        raise Malformed(f"`lease` must be a number of seconds, at most {LONGEST_LEASE:.0f}")
    return float(lease)
