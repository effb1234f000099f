"""The access request endpoint: a denial is submitted, and becomes a task for those who may approve.

A submission is accepted only for the request that was denied: its token is this service's own and fresh, and its
subject, resource, action and context are those of the evaluation. Nothing else in a submission affects a decision.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from time import time
from typing import Any

import rfc8785

from policyengine.authzen import read
from policyengine.authzen.endpoints import ACCESS_REQUESTS
from policyengine.authzen.errors import Malformed
from policyengine.callers.caller import Caller
from policyengine.engine import Engine
from policyengine.model.decision import Approval
from policyengine.model.request import request
from policyengine.model.values import Fault
from policyengine.server import encode, grants
from policyengine.server.access.binding_hash import binding_hash
from policyengine.server.access.callback import Callbacks, NotAllowed
from policyengine.server.access.denials import session_of, tenant_of
from policyengine.server.access.refusals import ProfileError, unbound
from policyengine.server.access.request_hints import DENIAL, AccessHints
from policyengine.server.access.task_status import answer
from policyengine.server.bind import Binding
from policyengine.server.errors import RequestError
from policyengine.server.pipeline import Reply
from policyengine.state import approval_operations as reasons
from policyengine.state.approval_calls import GONE, ApprovalError
from policyengine.state.approval_tasks import Submission
from policyengine.state.approving import AccessRequest, access_request
from policyengine.state.operations import REUSED
from policyengine.state.windows import SECOND

# The largest difference between two clocks, in seconds.
SKEW = 30
KEY = b"idempotency-key"
LONGEST_KEY = 256
LONGEST_CHAIN = 16
# The most characters of a `client` that are kept for the record.
LONGEST_CLIENT = 4_096
# The members of a submission about the request as a whole, and the member that says why.
_WHY = ("business_justification", "justification", "reason")


@dataclass(frozen=True, slots=True)
class Submissions:
    """`POST /access/v1/requests`."""

    desk: AccessHints
    binding: Binding
    callbacks: Callbacks

    def __call__(self, engine: Engine, body: bytes, caller: Caller, headers: Mapping[bytes, bytes]) -> Reply:
        """Raises Malformed and RequestError."""
        value = self.binding.silent(caller, read.json_object(body))
        if "items" in value:
            raise Malformed("`items`: requests are submitted one by one")
        key = _key(headers)
        wire = {name: value.get(name) for name in ("subject", "resource", "action")}
        wire["context"] = _context(value)
        # What is not an evaluation cannot be the denial of one.
        asked = read.evaluation(dict(wire))
        claims = self._claims(value.get("denial"), wire)
        snapshot = engine.snapshot
        asked = self.binding.arguments(caller, snapshot, asked)
        tenant = tenant_of(caller, asked)
        if claims["tenant"] != tenant:
            raise unbound("the denial belongs to another tenant")
        _check_actor(value.get("client"), asked["context"], caller)
        if claims["revision"] != snapshot.revision:
            raise ProfileError(400, "not_requestable", GONE)
        approvals = tuple(Approval(rule, {}) for rule in claims["rules"])
        session = session_of(asked["context"])
        try:
            whole = request(asked["principal"], asked["action"], asked["resource"], _without_session(asked["context"]))
            wanted = access_request(whole, approvals, snapshot, tenant, session)
        except Fault as fault:
            raise ProfileError(400, "not_requestable", fault.message) from None
        submission = Submission(
            why=_why(value),
            caller=grants.owner(caller),
            evaluation=claims["evaluation_id"],
            client=_kept(value.get("client")),
            callback=self._callback(value.get("callback"), caller),
            once=f"submission:{_digest([grants.owner(caller), key])}" if key is not None else "",
            body=_digest(value),
            token=f"denial:{claims['jti']}",
            token_life=(SKEW + max(0, int(claims["exp"]) - int(time())) + 1) * SECOND,
        )
        return self._asked(engine, wanted, submission)

    def _asked(self, engine: Engine, wanted: AccessRequest, submission: Submission) -> Reply:
        try:
            task = engine.approvals.request(wanted, submission=submission)
        except ApprovalError as error:
            match error.reason:
                case reasons.REPLAYED:
                    raise unbound(error.reason) from None
                case _ if error.reason == REUSED:
                    raise ProfileError(409, "duplicate_request", error.reason) from None
                case reasons.TOO_MANY:
                    raise RequestError(429, error.reason) from None
            raise ProfileError(400, "not_requestable", error.reason) from None
        location = f"{self.desk.public_url}{ACCESS_REQUESTS}/{task.id}"
        status = 202 if task.status == "pending" else 201
        return Reply(
            encode.value_body(answer(task, self.desk)),
            (),
            0,
            headers=((b"location", location.encode()),),
            status=status,
        )

    def _claims(self, denial: Any, wire: Mapping[str, Any]) -> Mapping[str, Any]:
        """The claims of a denial's token, if it is valid for this submission."""
        if self.desk.signer is None:
            raise ProfileError(400, "not_requestable", "this service takes no requests for approval")
        if type(denial) is not dict:
            raise unbound("`denial` is missing")
        claims = self.desk.signer.verified(denial.get("binding_token"), DENIAL, self.desk.endpoint)
        if claims is None or not _binds(claims):
            raise unbound("`denial.binding_token` was not issued by this service")
        if "evaluation_id" in denial and denial["evaluation_id"] != claims["evaluation_id"]:
            raise unbound("`denial.evaluation_id` belongs to another evaluation")
        expires = _instant(denial.get("expires_at"))
        if expires is None or expires != _instant(claims["denial_expires_at"]):
            raise unbound("`denial.expires_at` is not that of the denial")
        if time() > min(expires, float(claims["exp"])) + SKEW:
            raise ProfileError(410, "expired_denial", "the denial has expired: make the request again")
        if binding_hash(wire, claims["binding_context_members"]) != claims["binding_hash"]:
            raise unbound("the subject, action, resource or context is not that of the denial")
        return claims

    def _callback(self, given: Any, caller: Caller) -> str:
        if given is None:
            return ""
        try:
            return self.callbacks.wanted(given, caller)
        except NotAllowed as error:
            raise RequestError(400, str(error)) from None


def _binds(claims: Mapping[str, Any]) -> bool:
    """Whether a token has all claims that bind a denial. Another program that signs with this key may leave some
    out."""
    texts = [claims.get(name) for name in ("denial_expires_at", "evaluation_id", "binding_hash", "jti", "revision")]
    lists = [claims.get(name) for name in ("binding_context_members", "rules")]
    return (
        all(type(each) is str for each in (*texts, claims.get("tenant")))
        and all(type(each) is list and all(type(name) is str for name in each) for each in lists)
        and type(claims.get("exp")) in (int, float)
    )


def _context(value: Mapping[str, Any]) -> Any:
    """The context, with the session that is beside it in a request to authorize."""
    context = value.get("context", {})
    if "session" in value and type(context) is dict and "session" not in context:
        return {**context, "session": value["session"]}
    return context


def _without_session(context: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in context.items() if name != "session"}


def _check_actor(client: Any, context: Mapping[str, Any], caller: Caller) -> None:
    """Who is said to act, and for whom in turn, must be who acts: by the caller's token, or else by the context. Where
    neither says anything, what a caller that may name anybody says is kept, and decides nothing."""
    if not isinstance(client, Mapping) or "actor" not in client:
        return
    actor = client["actor"]
    claimed: list[Any] = []
    while isinstance(actor, Mapping) and len(claimed) <= LONGEST_CHAIN:
        claimed.append(actor.get("sub") if claimed else actor.get("id"))
        actor = actor.get("act")
    if not claimed or actor is not None or not all(isinstance(each, str) for each in claimed):
        raise Malformed("`client.actor` must have an `id`, and a chain of `act` with `sub`")
    known = [each[1] for each in caller.agents or ()]
    agent = context.get("agent")
    while isinstance(agent, Mapping) and len(known) <= 2 * LONGEST_CHAIN:
        known.append(str(agent.get("id")))
        agent = agent.get("delegated_by")
    anybody = caller.agents is None and not known
    if not anybody and not set(claimed) <= set(known):
        raise RequestError(403, "`client.actor` is not who acts for the subject")


def _kept(client: Any) -> str:
    text = json.dumps(client) if isinstance(client, Mapping) else ""
    return text if len(text) <= LONGEST_CLIENT else ""


def _why(value: Mapping[str, Any]) -> str:
    context = value.get("context")
    texts = (context.get(name) for name in _WHY) if isinstance(context, Mapping) else ()
    return next((text for text in texts if isinstance(text, str)), "")


def _key(headers: Mapping[bytes, bytes]) -> str | None:
    key = headers.get(KEY)
    if key is None:
        return None
    if not 0 < len(key) <= LONGEST_KEY:
        raise Malformed(f"`Idempotency-Key` must have 1 to {LONGEST_KEY} characters")
    return key.decode("latin-1")


def _instant(text: Any) -> float | None:
    """The time in seconds; None for what is not an RFC 3339 timestamp."""
    if not isinstance(text, str) or len(text) > 64:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.astimezone(UTC).timestamp() if instant.tzinfo is not None else None


def _digest(value: Any) -> str:
    """Equal for equal JSON values: 400 and 400.0 are the same number."""
    try:
        text = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError):
        text = json.dumps(value, sort_keys=True).encode()
    return sha256(text).hexdigest()
