"""The fast path for requests that only charge limits, as nearly all requests do.

In: a request without a session, an idempotency key or an approval. Out: the commit and the parts of the answer, or
None. With None, `authorizing` decides; it is the specification of this module. Steps that every request needs belong
there; here belongs only what recognises the requests that can do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any

from msgspec import Struct

from policyengine.bundle import Snapshot
from policyengine.compile.evaluator import with_meters
from policyengine.diagnostics import codes
from policyengine.model.decision import Decision
from policyengine.model.frozen import copied
from policyengine.state.after_grant import reported
from policyengine.state.authorize import APPROVAL, KEEP, PLANS, holder
from policyengine.state.charges import Metered, RawRequest
from policyengine.state.compiled_charges import CompiledLimits
from policyengine.state.grant import Grant
from policyengine.state.granting import denied_by_store, granted, unmetered
from policyengine.state.ids import new_id
from policyengine.state.lease_memo import memo_for
from policyengine.state.operations import Charge, Commit, Done, Outcome
from policyengine.state.prices import priced
from policyengine.state.shard_places import place
from policyengine.state.stateful_rules import SESSION, Metering
from policyengine.state.store import Store, StoreError
from policyengine.state.windows import SECOND

# The lease if the caller gives none.
_LEASE = 600 * SECOND


class ChargingPlan(Struct, frozen=True, gc=False):
    """A decision for callers that meter, and what its limits read. `alerts` is whether any limit sends alerts."""

    decided: Decision
    metered: Decision
    plan: CompiledLimits
    alerts: bool


class ChargingRequest(Struct, frozen=True, gc=False):
    """An allowed request on its way to the store. Its grant uses it as its terms: the charges are computed from the
    request again when it is settled."""

    id: str
    owner: str
    charges: tuple[Charge, ...]
    lease: int
    memo: str
    plan: ChargingPlan
    known: tuple[Snapshot, Metering]
    store: Store
    principal: Any
    action: Any
    resource: Any
    context: Any

    @property
    def commit(self) -> Commit:
        return Commit(self.id, self.owner, self.charges, self.lease, KEEP, None, None, "", self.memo)

    @property
    def metered(self) -> tuple[Metered, ...]:
        seen = RawRequest(self.principal, self.action, self.resource, self.context, self.known[0].world)
        return self.plan.plan.metered(self.charges, seen)


def straight(
    principal: Any,
    action: Any,
    resource: Any,
    context: Mapping[str, Any] | None,
    lease: float,
    owner: str,
    placed: bool,
    known: tuple[Snapshot, Metering],
    store: Store,
) -> ChargingRequest | None:
    """The request if it only charges limits, otherwise None. Never raises because of a request's content."""
    snapshot, metering = known
    if context is not None:
        if type(context) is not dict or SESSION in context or APPROVAL in context:
            return None
        cost = context.get("cost")
        if cost is not None and not (type(cost) is dict and "usd" in cost and "tokens" in cost):
            context, unpriced = priced(context, resource, metering.prices)
            if unpriced is not None:
                return None
    decided = snapshot.evaluator.decide(principal, action, resource, context)
    # By identity: decisions are shared and kept alive. Most requests get the same decision as the one before.
    charging_plan = metering.charging_plans.get(None)
    if charging_plan is None or charging_plan.decided is not decided:
        charging_plan = _plan(decided, snapshot, metering)
        if charging_plan is None:
            return None
    plan: CompiledLimits = charging_plan.plan
    charges: tuple[Charge, ...] | None = None
    if plan.find is not None and (context is None or "agent" not in context):
        try:
            charges = plan.find(principal, resource, context)
        except Exception:  # noqa: BLE001 - whatever it is, the code below finds it
            charges = None
    if charges is None:
        charges = plan.charged(principal, action, resource, context, time_ns() // 1_000 if plan.dated else 0)
        if charges is None:
            return None
    id_, memo = new_id(), ""
    tenant = holder(principal, context)[0] if placed or charging_plan.alerts else ""
    if placed:
        id_ = place(tenant) + id_[4:]
    if plan.counted:
        # The real cost is computed from the request as it was, even if its host changes the objects meanwhile.
        principal, action, resource, context = map(copied, (principal, action, resource, context))
        raw_request = RawRequest(principal, action, resource, context, snapshot.world)
        memo = memo_for(plan.counted, raw_request, context, tenant if charging_plan.alerts else "")
    lasting = _LEASE if lease == 600.0 else round(lease * SECOND)
    return ChargingRequest(
        id_, owner, charges, lasting, memo, charging_plan, known, store, principal, action, resource, context
    )


def unrecorded(
    principal: Any,
    action: Any,
    resource: Any,
    context: Any,
    session: str | None,
    opens: bool,
    known: tuple[Snapshot, Metering],
) -> Grant | None:
    """The grant of a request that concerns no store: no rule about it reads the session, and it charges, marks and
    requests nothing. None for any other, which `authorizing` decides. Never raises because of a request's content."""
    snapshot, metering = known
    if type(action) is not str or type(resource) is not dict:
        return None
    if session is not None and (opens or not snapshot.blocks.is_empty):
        # Whether a session may begin this way, or is blocked, is decided there.
        return None
    if context is not None and (
        type(context) is not dict or SESSION in context or APPROVAL in context or "cost" in context
    ):
        return None
    if metering.readers and (metering.counts or metering.reads_session(action, str(resource.get("type")))):
        return None
    decision = snapshot.evaluator.decide(principal, action, resource, context)
    if decision.approvals or decision.limits or decision.labels or decision.tried:
        return None
    return Grant(decision, prices=metering.prices)


def _plan(decided: Decision, snapshot: Snapshot, metering: Metering) -> ChargingPlan | None:
    """The plan of a decision that allows and names limits; None for any other, and until it is known what those limits
    read."""
    plans = metering.charging_plans
    charging_plan: ChargingPlan | None = plans.get(id(decided))
    if charging_plan is None or charging_plan.decided is not decided:
        plan = metering.plans.get(decided.limits)
        if (
            metering.denials_owe
            or plan is None
            or plan.compiled is None
            or decided.decision != "allow"
            or not decided.limits
            or decided.tried
        ):
            return None
        if len(plans) > PLANS:
            plans.clear()
        charging_plan = ChargingPlan(decided, with_meters(decided, snapshot.evaluator.limits), plan, metering.alerting)
        plans[id(decided)] = charging_plan
    plans[None] = charging_plan
    return charging_plan


def answered(charging: ChargingRequest, outcome: Outcome) -> Grant:
    """The grant for what was committed, or the denial."""
    metering, way = charging.known[1], charging.plan
    if type(outcome) is Done:
        # As in `granted`, for requests that only charge.
        expires = outcome.expires_at / SECOND
        grant = Grant(way.metered, charging.id, None, outcome.uses, expires, charging, metering.prices)
    else:
        decision, snapshot = way.metered, charging.known[0]
        grant = granted(
            decision, charging.metered, outcome, snapshot, charging.store, charging.id, charging.owner, charging.lease
        )
        grant.prices = metering.prices
    if way.alerts:
        return reported(
            grant, outcome, charging.metered, metering, lambda: holder(charging.principal, charging.context)[0]
        )
    return grant


def away(charging: ChargingRequest, error: StoreError) -> Grant:
    """The answer if the store is unavailable."""
    if all(one.limit.spec.fails_open for one in charging.metered):
        return unmetered(charging.plan.metered, error.public_message)
    return denied_by_store(codes.STORE_AWAY.id, error.public_message, charging.known[0])
