"""What a lease keeps of its request, so that another process can compute its real cost, and a grant made from it again.

If the limits count only `cost`, the cost is kept; otherwise the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from policyengine.bundle import Snapshot
from policyengine.evaluate.delegation import actors
from policyengine.evaluate.interpret import Env
from policyengine.model.decision import Decision
from policyengine.model.request import request
from policyengine.model.values import Fault
from policyengine.state.alerts import report_more
from policyengine.state.charges import Metered, RawRequest, window
from policyengine.state.grant import Grant, KnownTerms
from policyengine.state.operations import Charge, Document
from policyengine.state.stateful_rules import LimitRule, Metering
from policyengine.state.store import Store
from policyengine.state.windows import SECOND, Window, held_window, kind_of

_ENCODER = json.JSONEncoder(allow_nan=False)
# Ten times as fast, for a cost: no limit reads values in it that are not JSON.
_QUICK = msgspec.json.Encoder()

# A longer request, in characters, is not kept: its reservation is settled at its estimate.
LARGEST = 64 * 1024


def memo(metered: Sequence[Metered], context: Mapping[str, Any] | None, tenant: str = "") -> str:
    """What the lease of these charges keeps. `context` is that of their request; `tenant` is for reports of the
    settlement."""
    counted = [one for one in metered if one.limit.spec.of is not None]
    return memo_for([one.limit for one in counted], counted[0].seen, context, tenant) if counted else ""


def memo_for(
    counted: Sequence[LimitRule], seen: Env | RawRequest, context: Mapping[str, Any] | None, tenant: str = ""
) -> str:
    """As `memo`, for limits that count an amount, with the Env or request that they read."""
    cost = {"cost": context["cost"]} if context and "cost" in context else {}
    memo_data: dict[str, Any] = {"context": cost}
    is_plain = True
    if (model := _model(seen)) is not None:
        # The price of its tokens depends on it.
        memo_data["resource"] = model
    for limit in counted:
        if not limit.counts_cost:
            whole = (seen if isinstance(seen, Env) else seen.env()).request
            memo_data = {
                "principal": _flat(whole.principal),
                "resource": _flat(whole.resource),
                "action": {**whole.action.attributes, "name": whole.action.name},
                "context": whole.context,
            }
            is_plain = False
            break
    if tenant:
        memo_data["tenant"] = tenant
    try:
        text = _QUICK.encode(memo_data).decode() if is_plain else _ENCODER.encode(memo_data)
    except (TypeError, ValueError, OverflowError, RecursionError):
        # It contains values that are not JSON, so it was not sent by anybody who would settle it elsewhere.
        return ""
    return text if len(text) <= LARGEST else ""


def reopened(id_: str, lease: Document, snapshot: Snapshot, metering: Metering, store: Store, now: int) -> Grant:
    """The grant of a lease. The charge of a limit that no longer exists stays as estimated."""
    metered = []
    for held in (*lease["charges"], *lease.get("elsewhere", ())):
        limit = metering.limits.get(held["rule"])
        if limit is None:
            continue
        charge = Charge(
            meter=held["meter"],
            rule=held["rule"],
            by=(),
            window=_same_kind(window(limit.spec, now), held),
            ceiling=held["ceiling"],
            amount=held["reserved"],
        )
        metered += [Metered(charge, limit, env) for env in _envs(lease["memo"], snapshot)]
    decision = Decision(decision="allow", revision=snapshot.revision)
    terms = KnownTerms(store, lease["owner"], tuple(metered), 600 * SECOND)
    grant = Grant(decision, id=id_, expires_at=lease["expires"] / SECOND, _terms=terms)
    grant.prices = metering.prices
    grant.counted = {held["meter"]: held["counted"] for held in lease["charges"]}
    if metering.alerting:
        tenant = _kept(lease["memo"]).get("tenant", "")
        grant.on_settled = lambda uses, more: report_more(uses, more, metered, lambda: tenant, metering.events)
    return grant


def _kept(text: str) -> Mapping[str, Any]:
    return json.loads(text) if text else {}


def _envs(text: str, snapshot: Snapshot) -> list[Env]:
    nobody = {"type": "", "id": ""}
    memo_for = _kept(text)
    principal, resource = memo_for.get("principal", nobody), memo_for.get("resource", nobody)
    try:
        whole = request(principal, memo_for.get("action", ""), resource, memo_for.get("context", {}))
        everyone = actors(whole, snapshot.world, snapshot.schema)
    except Fault:
        return []
    return [Env(asked, snapshot.world) for asked in everyone]


def _model(seen: Env | RawRequest) -> dict[str, Any] | None:
    resource = seen.resource if isinstance(seen, RawRequest) else _flat(seen.request.resource)
    if resource.get("type") != "Model":
        return None
    return {name: resource[name] for name in ("type", "id", "provider") if isinstance(resource.get(name), str)}


def _flat(entity: Any) -> dict[str, Any]:
    return {**entity.attributes, "type": entity.uid.type, "id": entity.uid.id}


def _same_kind(now: Window, held: Mapping[str, Any]) -> Window:
    """The current window, or the one that the charge was made in, if the limit's kind has changed since."""
    return now if kind_of(now) == held["kind"] else held_window(held)
