"""How often a caller may ask: `limit` rules about the action `ask`, over the state store that all processes share.

In: the policies of administration, if they declare `ask`, and each caller with its endpoint. Out: None, or a Refusal:
429 with an exact `Retry-After` if a limit has no room, 403 if the policies deny, 503 if the store is unavailable and
the limit does not say otherwise. Policies that do not declare `ask` cost nothing. The kill switch is not consulted
here: what it blocks is denied in the decision.
"""

from __future__ import annotations

from typing import Any

from policyengine.bundle import Snapshot
from policyengine.callers.caller import Caller
from policyengine.callers.refusal import Refusal
from policyengine.diagnostics import codes
from policyengine.events.sink import Sink
from policyengine.server import grants
from policyengine.settings.loading import WrongSettings
from policyengine.state.authorize import KEEP, authorizing, new_request
from policyengine.state.fast_authorize import answered, away, straight
from policyengine.state.grant import Grant
from policyengine.state.stateful_rules import metering
from policyengine.state.store import Store, StoreError
from policyengine.state.stores.cluster import Cluster
from policyengine.state.stores.memory import Memory
from policyengine.steps import run_async

ASK = "ask"
# Nothing is settled: what was counted stays counted, and the record of one request need not be kept for long.
_LEASE = 1.0
_AWAY = Refusal(503, "the limits are unavailable at the moment", ((b"retry-after", b"5"),))


class RateLimits:
    """The limits of one service. `store` is given when the service starts; before that nobody may ask. Raises
    WrongSettings for a limit that would never have room again."""

    def __init__(self, snapshot: Snapshot, events: Sink) -> None:
        self._known = (snapshot, metering(snapshot.policies, events))
        self.store: Store | None = None
        for limit in self._known[1].limits.values():
            actions = limit.rule.head.actions
            if limit.spec.per is None and (actions is None or ASK in actions):
                raise WrongSettings(
                    f"`admin_policies`: `{limit.rule.name}` counts what is in flight, which `limits.concurrency` bounds"
                )

    async def refusal(self, caller: Caller, principal: dict[str, Any], endpoint: str) -> Refusal | None:
        store = self.store
        if store is None:
            return _AWAY
        grant = await self._granted(store, principal, {"endpoint": endpoint})
        if grant.allowed:
            return None
        if grant.denied_by and grant.retry_after is not None:
            return Refusal(429, _why(grant, "too many requests"), grants.headers(grant))
        if any(error.code == codes.STORE_AWAY.id for error in grant.decision.errors):
            return _AWAY
        return Refusal(403, _why(grant, "the policies of this service deny it"))

    async def _granted(self, store: Store, principal: dict[str, Any], context: dict[str, Any]) -> Grant:
        snapshot, metered = self._known
        resource = {"type": "DecisionService", "id": "pdp"}
        placed = isinstance(store, Cluster)
        way = straight(principal, ASK, resource, context, _LEASE, "", placed, self._known, store)
        if way is not None:
            try:
                done = store.charge(way, KEEP) if type(store) is Memory else None
                return answered(way, done if done is not None else await store.run_async(way.commit))
            except StoreError as error:
                return away(way, error)
        asked = new_request(principal, ASK, resource, context, lease=_LEASE, placed=placed)
        return await run_async(
            authorizing(asked, snapshot, metered, snapshot.evaluator.decide_metered, store), store.run_async
        )


def rates(snapshot: Snapshot, events: Sink) -> RateLimits | None:
    """None for policies that do not declare `ask`."""
    return RateLimits(snapshot, events) if ASK in snapshot.schema.actions else None


def _why(grant: Grant, otherwise: str) -> str:
    return "; ".join(grant.decision.reasons) or otherwise
