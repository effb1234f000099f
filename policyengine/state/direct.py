"""The straight way of a request that charges limits and does nothing else, which nearly all are.

In: a request without session, idempotency key and approval. Out: what is to be committed and what the answer is made
of, or None: then `authorizing` decides, and is the specification of this. What every request has to go through belongs
there; here belongs what tells those apart that can go without.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import time_ns
from typing import Any

from msgspec import Struct

from policyengine.bundle import Snapshot
from policyengine.diagnostics import codes
from policyengine.model.decision import Decision
from policyengine.state.authorize import APPROVAL, KEEP, holder
from policyengine.state.charges import Metered
from policyengine.state.grant import Grant
from policyengine.state.granting import denied_by_store, granted, unmetered
from policyengine.state.ids import new_id
from policyengine.state.memo import memo
from policyengine.state.metering import SESSION, Metering
from policyengine.state.operations import Commit, Outcome
from policyengine.state.over import told
from policyengine.state.places import place
from policyengine.state.prices import priced
from policyengine.state.store import Store, StoreError
from policyengine.state.windows import SECOND


class Straight(Struct, frozen=True, gc=False):
    """An allowed request on its way to the store."""

    commit: Commit
    decision: Decision
    metered: tuple[Metered, ...]
    snapshot: Snapshot
    metering: Metering
    principal: Any
    context: Any


def straight(
    principal: Any,
    action: Any,
    resource: Any,
    context: Mapping[str, Any] | None,
    lease: float,
    owner: str,
    placed: bool,
    known: tuple[Snapshot, Metering],
) -> Straight | None:
    """Never raises for what a request holds."""
    snapshot, metering = known
    if metering.owing:
        return None
    if context is not None and (type(context) is not dict or SESSION in context or APPROVAL in context):
        return None
    cost = context.get("cost") if context is not None else None
    if cost is not None and not (type(cost) is dict and "usd" in cost and "tokens" in cost):
        context, unpriced = priced(context, resource, metering.prices)
        if unpriced is not None:
            return None
    decision = snapshot.evaluator.decide_metered(principal, action, resource, context)
    plan = metering.plans.get(decision.limits)
    if plan is None or decision.decision != "allow" or not decision.limits or decision.tried:
        return None
    found = plan.quick(principal, action, resource, context, time_ns() // 1_000)
    if found is None:
        return None
    metered = found.metered
    id_ = place(holder(principal, context)[0]) + new_id()[4:] if placed else new_id()
    charged = tuple([one.charge for one in metered])
    lasting = round(lease * SECOND)
    tenant = holder(principal, context)[0] if metering.alerting else ""
    commit = Commit(id_, owner, charged, lasting, KEEP, memo=memo(metered, context, tenant))
    return Straight(commit, decision, metered, snapshot, metering, principal, context)


def answered(way: Straight, outcome: Outcome, store: Store) -> Grant:
    """The grant of what was committed, or the denial."""
    commit = way.commit
    grant = granted(way.decision, way.metered, outcome, way.snapshot, store, commit.id, commit.owner, commit.lease)
    grant.prices = way.metering.prices
    if way.metering.alerting:
        return told(grant, outcome, way.metered, way.metering, lambda: holder(way.principal, way.context)[0])
    return grant


def away(way: Straight, error: StoreError) -> Grant:
    """The answer where the store cannot be asked."""
    if all(one.limit.spec.fails_open for one in way.metered):
        return unmetered(way.decision, str(error))
    return denied_by_store(codes.STORE_AWAY.id, str(error), way.snapshot)
