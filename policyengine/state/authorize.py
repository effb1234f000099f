"""Authorizing: decide, then commit everything that the decision concerns in one step.

`authorizing` is written once, without I/O: a generator that yields the operations for the store and receives their
outcomes. The engine drives it with the sync or the async call of the store. A request that no limit, label or session
rule concerns yields nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from hashlib import sha256
from time import time_ns
from typing import Any

from msgspec import Struct
from msgspec.structs import replace as struct_replace

from policyengine.bundle import Snapshot
from policyengine.diagnostics import codes
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.model.decision import Decision, RuleError
from policyengine.model.frozen import copied
from policyengine.model.request import Request, request
from policyengine.model.values import Fault
from policyengine.state import approvals, operations, sessions
from policyengine.state.after_grant import followed
from policyengine.state.approval_operations import UNVERIFIABLE, Consume
from policyengine.state.approval_scope import has_form
from policyengine.state.approving import WHY, AccessRequest, Why, access_request, consume
from policyengine.state.charges import Charges, Metered, charges
from policyengine.state.compiled_charges import plan
from policyengine.state.grant import Grant
from policyengine.state.granting import denied_by_store, granted, refused_by_errors, unmetered
from policyengine.state.ids import new_id
from policyengine.state.lease_memo import memo
from policyengine.state.operations import (
    Commit,
    DocumentsFound,
    Operation,
    Outcome,
    ReadDocuments,
    ReadSession,
    Rejected,
    SessionWrite,
)
from policyengine.state.prices import priced
from policyengine.state.session_grants import carried
from policyengine.state.shard_places import place
from policyengine.state.stateful_rules import SESSION, Metering
from policyengine.state.store import Store, StoreError
from policyengine.state.trials import reported
from policyengine.state.windows import SECOND

# How many times a request is decided again if its session changed in between.
TRIES = 8

# The number of sets of limits whose reads are remembered.
PLANS = 4_096

# How long a reservation can be settled.
KEEP = 35 * 86_400 * SECOND

Decide = Callable[[Any, Any, Any, Any], Decision]
# The member of a context that presents an approval.
APPROVAL = "approval"

Authorizing = Generator[Operation, Outcome, Grant]


class AuthorizeRequest(Struct, frozen=True, gc=False):
    """A request to authorize. `now` is the time of the host, in microseconds; `id` is new for each request; `owner` is
    who may settle it; `once` and `body` are the key of a retry and the digest of its request; `approval` is the id of
    an approval. If `meters` is False, nothing is charged and no session is marked: only the approval is used. `tenant`
    is the tenant of the request, if the request itself does not determine it. `accepts` says what happens to the
    decision before anything is recorded."""

    principal: Any
    action: Any
    resource: Any
    context: Mapping[str, Any] | None
    id: str
    now: int
    session: str | None = None
    opens: bool = True
    owner: str = ""
    lease: int = 600 * SECOND
    keep: int = KEEP
    life: int = sessions.LIFE
    once: str | None = None
    body: str = ""
    approval: Any = None
    meters: bool = True
    tenant: str | None = None
    accepts: Callable[[Decision], Decision] | None = None


def new_request(
    principal: Any,
    action: Any,
    resource: Any,
    context: Any,
    session: str | None = None,
    once: str | None = None,
    lease: float = 600.0,
    owner: str = "",
    opens: bool = True,
    approval: Any = None,
    meters: bool = True,
    tenant: str | None = None,
    accepts: Callable[[Decision], Decision] | None = None,
    placed: bool = False,
) -> AuthorizeRequest:
    """A request at the current time. `lease` is in seconds. An idempotency key belongs to its tenant and owner: the
    same key of others is a different one. An approval may also be in the context, as in AuthZEN's profile. With
    `placed` the id names the tenant's place."""
    if isinstance(context, Mapping) and APPROVAL in context:
        presented = context[APPROVAL]
        named = presented.get("id") if isinstance(presented, Mapping) else presented
        approval = named if approval is None else approval
        context = {name: value for name, value in context.items() if name != APPROVAL}
    whose = holder(principal, context)[0] if placed or once is not None else ""
    key = None if once is None else f"once:{place(whose)}:{_digest([whose, owner, once])}"
    # A retry names the reservation of the first request, so that its state can be looked up.
    id_ = new_id() if key is None else _digest([key])[:32]
    if placed:
        id_ = place(whose) + id_[4:]
    # The real cost is computed from the request as it was, even if its host changes the objects meanwhile.
    principal, action, resource, context = map(copied, (principal, action, resource, context))
    body = "" if once is None else _digest([principal, action, resource, context, session])
    return AuthorizeRequest(
        principal, action, resource, context, id_, time_ns() // 1_000, session,
        owner=owner, lease=round(lease * SECOND), once=key, body=body, opens=opens, approval=approval, meters=meters,
        tenant=tenant, accepts=accepts,
    )  # fmt: skip


def _digest(value: Any) -> str:
    # A value that is not JSON is identified by its representation: a retry in the same process has the same.
    return sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()


def authorizing(
    asked: AuthorizeRequest, snapshot: Snapshot, metering: Metering, decide: Decide, store: Store
) -> Authorizing:
    """The grant. Yields operations and receives their outcomes; a StoreError that is thrown in denies."""
    context, unpriced = priced(asked.context, asked.resource, metering.prices)
    if context is not asked.context:
        asked = struct_replace(asked, context=context)
    try:
        grant = yield from _authorizing(asked, snapshot, metering, decide, store)
        grant.prices = metering.prices
        if unpriced is not None and grant.decision.decision == "deny" and grant.decision.errors:
            # This error is why the price is missing.
            grant.decision = replace(grant.decision, errors=(*grant.decision.errors, unpriced))
        return (
            reported(grant, metering.events, holder(asked.principal, asked.context)[0])
            if grant.decision.tried
            else grant
        )
    except StoreError as error:
        return denied_by_store(codes.STORE_AWAY.id, error.public_message, snapshot)


def _authorizing(
    asked: AuthorizeRequest, snapshot: Snapshot, metering: Metering, decide: Decide, store: Store
) -> Authorizing:
    context = asked.context
    if isinstance(context, Mapping) and SESSION in context:
        return denied_by_store(
            codes.MALFORMED.id, "a session is given by its id alone; the engine knows the rest", snapshot
        )
    if asked.session is not None and (denial := snapshot.blocks.session(asked.session, snapshot.revision)) is not None:
        return Grant(denial)
    if asked.session is not None and not metering.opens(asked.session, asked.now):
        asked = struct_replace(asked, opens=False)
    for attempt in range(TRIES):
        version = None
        if asked.session is not None and _reads(metering, asked):
            reply = yield _read(asked, metering.since, first=not attempt)
            if not isinstance(reply, DocumentsFound) or reply.documents[0] is None:
                return denied_by_store(codes.UNKNOWN_SESSION.id, operations.UNKNOWN_SESSION, snapshot)
            session = reply.documents[0]
            version = session["version"]
            if context is None or type(context) is dict:  # anything else is refused for its type
                context = {**(asked.context or {}), SESSION: _session(asked.session, session)}
        decision = decide(asked.principal, asked.action, asked.resource, context)
        before_approval, wanted, use = decision, None, None
        if decision.approvals:
            if asked.approval is None and has_form(
                asked.principal, asked.action, asked.resource, _without_session(context)
            ):
                # Most hosts do not request an approval after a denial.
                return Grant(decision, _access=partial(_wanted, asked, context, decision, snapshot))
            try:
                wanted = _wanted(asked, context, decision, snapshot)
            except Fault as fault:
                return Grant(_impossible(decision, fault))
            if asked.approval is None:
                return Grant(decision, _access=wanted)
            use = consume(asked.approval, wanted, snapshot, metering.since)
            if use is None:
                return Grant(decision, _access=wanted, approval_denied=WHY[UNVERIFIABLE])
            met = snapshot.evaluator.limits | {each.rule for each in decision.approvals}
            decision = snapshot.evaluator.decide_met(asked.principal, asked.action, asked.resource, context, met)
        elif asked.approval is not None and decision.decision != "allow":
            return Grant(decision, approval_denied=(yield from _why(asked, context, decision, snapshot)))
        if asked.accepts is not None:
            decision = asked.accepts(decision)
        commit, metered, errors = _commit(asked, context, snapshot, metering, decision, version, use)
        if errors:
            return Grant(refused_by_errors(decision, errors))
        if commit is None:
            return Grant(decision)
        try:
            outcome = yield commit
        except StoreError as error:
            charges_only = commit.session is None and commit.approval is None
            if charges_only and all(one.limit.spec.fails_open for one in metered):
                return unmetered(decision, error.public_message)
            raise
        if outcome == Rejected(operations.CHANGED):
            continue
        if use is not None and isinstance(outcome, Rejected) and outcome.reason in WHY:
            return Grant(before_approval, _access=wanted, approval_denied=WHY[outcome.reason])
        grant = granted(
            decision, metered, outcome, snapshot, store, asked.id, asked.owner, asked.lease, asked.approval
        )  # fmt: skip
        if not metering.follows:
            return grant
        envs = _envs(request(asked.principal, asked.action, asked.resource, context), snapshot)
        return followed(grant, outcome, metered, metering, snapshot, holder(asked.principal, asked.context)[0], envs)
    return denied_by_store(codes.STORE_AWAY.id, operations.CHANGED, snapshot)


def _wanted(asked: AuthorizeRequest, context: Any, decision: Decision, snapshot: Snapshot) -> AccessRequest:
    whole = request(asked.principal, asked.action, asked.resource, context)
    tenant = asked.tenant if asked.tenant is not None else holder(asked.principal, asked.context)[0]
    return access_request(whole, decision.approvals, snapshot, tenant, asked.session)


def _without_session(context: Mapping[str, Any] | None) -> Any:
    """What an approval is bound to besides the context's other members: the session, by its id."""
    return context if not context or SESSION not in context else {n: v for n, v in context.items() if n != SESSION}


def _why(
    asked: AuthorizeRequest, context: Any, decision: Decision, snapshot: Snapshot
) -> Generator[Operation, Outcome, Why]:
    """Why an approval does not help a request that is denied for another reason than a missing approval."""
    try:
        use = consume(asked.approval, _wanted(asked, context, decision, snapshot), snapshot)
    except Fault:
        use = None
    if use is None:
        return WHY[UNVERIFIABLE]
    outcome = yield ReadDocuments((use.key,))
    if not isinstance(outcome, DocumentsFound):
        return WHY[UNVERIFIABLE]
    covered = approvals.consumed(use, outcome.documents[0], outcome.now)
    return WHY[covered] if isinstance(covered, str) else "policy_denied"


def _impossible(decision: Decision, fault: Fault) -> Decision:
    """A request that cannot be shown to an approver stays denied, with the reason."""
    error = RuleError("", codes.NO_APPROVAL.id, f"no approver can be asked about the request: {fault.message}")
    return replace(decision, approvals=(), errors=(*decision.errors, error))


def _reads(metering: Metering, asked: AuthorizeRequest) -> bool:
    action, resource = asked.action, asked.resource
    name = action.get("name") if isinstance(action, Mapping) else action
    type_ = resource.get("type") if isinstance(resource, Mapping) else None
    return metering.reads_session(str(name), str(type_))


def _read(asked: AuthorizeRequest, since: int, first: bool) -> ReadSession:
    tenant, principal = holder(asked.principal, asked.context)
    key = sessions.session_key(tenant, str(asked.session))
    return ReadSession(key, tenant, principal, asked.life, _call(asked) if first else "", asked.opens, since)


def _session(id_: str, held: Mapping[str, Any]) -> dict[str, Any]:
    """The session as rules read it."""
    calls = [call_of(name, counts) for name, counts in held["calls"].items()]
    started = datetime.fromtimestamp(held["started"] / SECOND, UTC).isoformat()
    return {"type": "Session", "id": id_, **carried(held["labels"]), "calls": calls, "started": started}


def call_of(name: str, counts: Sequence[int]) -> dict[str, Any]:
    """A call and its counts, as rules read them."""
    action, tool = json.loads(name)
    return {"action": action, "tool": tool, "attempted": counts[0], "allowed": counts[1], "completed": counts[2]}


def holder(principal: Any, context: Any) -> tuple[str, str]:
    """The owner of a session: the tenant of the context or of the principal, and the principal. Its agents share it."""
    # The usual types are tested first, without a look at abstract classes.
    tenant = context.get("tenant") if type(context) is dict or isinstance(context, Mapping) else None
    id_ = tenant.get("id") if tenant is not None and isinstance(tenant, Mapping) else None
    attributes = principal if type(principal) is dict or isinstance(principal, Mapping) else {}
    if id_ is None:
        id_ = attributes.get("tenant", "")
    return str(id_), f"{attributes.get('type')}::{attributes.get('id')!r}"


def _call(asked: AuthorizeRequest) -> str:
    """The name of the call: the action, and for a tool the tool's name."""
    action = asked.action.get("name") if isinstance(asked.action, Mapping) else asked.action
    resource = asked.resource if isinstance(asked.resource, Mapping) else {}
    return called(str(action), str(resource.get("id")) if resource.get("type") == "Tool" else "")


@lru_cache(PLANS)
def called(action: str, tool: str) -> str:
    """The text under which a session counts a call."""
    return json.dumps([action, tool])


def _commit(
    asked: AuthorizeRequest,
    context: Mapping[str, Any] | None,
    snapshot: Snapshot,
    metering: Metering,
    decision: Decision,
    version: int | None,
    use: Consume | None,
) -> tuple[Commit | None, tuple[Metered, ...], tuple[RuleError, ...]]:
    """The transaction of a decision; None if there is nothing to record."""
    if decision.decision != "allow":
        return None, (), ()
    session = None
    watched = version is not None and bool(decision.limits)
    if asked.meters and asked.session is not None and (decision.labels or metering.counts or watched):
        tenant, principal = holder(asked.principal, asked.context)
        key = sessions.session_key(tenant, asked.session)
        call = _call(asked) if metering.counts else ""
        opens, since = asked.opens, metering.since
        session = SessionWrite(key, tenant, principal, asked.life, decision.labels, call, version, opens, since)
    if not (asked.meters and decision.limits) and session is None and use is None:
        return None, (), ()
    metered: tuple[Metered, ...] = ()
    memo_text = ""
    if asked.meters and decision.limits:
        charging = _charges(asked, context, snapshot, metering, decision.limits)
        if charging.errors:
            return None, (), charging.errors
        metered = charging.metered
        memo_text = memo(metered, context, holder(asked.principal, asked.context)[0] if metering.alerting else "")
    charged = tuple([one.charge for one in metered])
    commit = Commit(
        asked.id, asked.owner, charged, asked.lease, asked.keep, session, asked.once, asked.body, memo_text, use
    )  # fmt: skip
    return commit, metered, ()


def _charges(
    asked: AuthorizeRequest,
    context: Mapping[str, Any] | None,
    snapshot: Snapshot,
    metering: Metering,
    names: tuple[str, ...],
) -> Charges:
    known = metering.plans.get(names)
    if known is None:
        if len(metering.plans) >= PLANS:
            metering.plans.clear()
        known = metering.plans[names] = plan(metering, snapshot, names)
    quick_charges = known.charges_if_plain(asked.principal, asked.action, asked.resource, context, asked.now)
    if quick_charges is not None:
        return quick_charges
    whole = request(asked.principal, asked.action, asked.resource, context)
    return charges([metering.limits[name] for name in names], _envs(whole, snapshot), asked.now)


def _envs(whole: Request, snapshot: Snapshot) -> list[Env]:
    """The Env of each actor: the principal, and every agent that acts for it."""
    everyone = actors(whole, snapshot.world, snapshot.schema)
    return [Env(asked, snapshot.world) for asked in everyone]
