"""The half of an engine that remembers: authorize, reservations, sessions and approvals.

It holds a store and what the rules of the current snapshot need from it. The engine passes it each new snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from threading import RLock
from typing import Any

from policyengine.blocks.denylist import NOBODY, FindTenants
from policyengine.bounded_cache import BoundedCache
from policyengine.bundle import Snapshot
from policyengine.events.event import Event
from policyengine.events.sink import Everywhere
from policyengine.model.decision import Decision
from policyengine.state.approval_calls import Approvals
from policyengine.state.approval_operations import Keep
from policyengine.state.authorize import KEEP, AuthorizeRequest, Authorizing, authorizing, new_request
from policyengine.state.block_calls import Blocks
from policyengine.state.fast_authorize import answered, away, straight, unrecorded
from policyengine.state.grant import Grant
from policyengine.state.known_blocks import KnownBlocks, behind
from policyengine.state.lease_memo import reopened
from policyengine.state.operations import DocumentsFound, ReadDocuments, lease_key
from policyengine.state.prices import NO_PRICES, Prices
from policyengine.state.session_calls import Sessions
from policyengine.state.stateful_rules import SESSIONS, Metering, metering
from policyengine.state.store import Store, StoreError
from policyengine.state.stores.cluster import Cluster
from policyengine.state.stores.memory import Memory
from policyengine.state.usage_calls import Meters
from policyengine.state.windows import SECOND
from policyengine.steps import run, run_async

# For ever, in microseconds.
FOREVER = 100 * 366 * 86_400 * 1_000_000

Accepts = Callable[[Decision], Decision]


class Authorizes:
    """The part of an engine that uses its store. `events` receives reports."""

    def __init__(self, snapshot: Snapshot, store: Store, events: Everywhere) -> None:
        self._store = store
        self._sessions = Sessions(store, lambda: self._metering[1].since)
        self._prices = NO_PRICES
        self._placed = isinstance(store, Cluster)
        self.events = events
        self._publishing = RLock()
        self._opened: BoundedCache[str, int] = BoundedCache(SESSIONS)
        self._board: KnownBlocks | None = None
        self._publish(snapshot)
        self._board = KnownBlocks(store, self._publish, lost=self._voided)
        if not self._board.blocks.is_empty or self._board.since:
            self._publish()

    def _publish(self, loaded: Snapshot | None = None) -> None:
        """Puts the loaded snapshot, or the one in force, behind the current blocks."""
        with self._publishing:
            if loaded is not None:
                self._loaded = loaded
            blocks = self._board.blocks if self._board is not None else NOBODY
            self._concerns(behind(self._loaded, blocks))

    def _concerns(self, snapshot: Snapshot) -> None:
        """Puts this snapshot in force."""
        # A pair, so that a reload in between cannot mix two revisions.
        since, voided = (self._board.since, self._board.voided) if self._board is not None else (0, 0)
        metering_found = metering(snapshot.policies, self.events, self._prices, since, self._opened, voided)
        self._metering = (snapshot, metering_found)

    def _voided(self) -> None:
        since = self._board.since if self._board is not None else 0
        self.events.send(Event("state.voided", {"before": since // SECOND, "why": "the store has lost its data"}))

    def authorize(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        session: str | None = None,
        idempotency_key: str | None = None,
        lease: float = 600.0,
        caller: str = "",
        opens: bool = True,
        approval: str | None = None,
        tenant: str | None = None,
        accepts: Accepts | None = None,
    ) -> Grant:
        """Decides, and records the decision in one atomic step: all limits are charged, or none, and the session is
        marked. A limit charges the estimate in the request until the grant is settled. The reservation holds for
        `lease` seconds.

        `session` is the id of a session: what rules read of `session` comes from the store and never from the request.
        A request with the `idempotency_key` of an earlier one is a retry of it. If the store is unavailable, this
        denies and does not raise. A request that no limit and no session rule concerns does not use the store. `caller`
        is who may settle the grant, if one process serves several callers. `approval` is the id of an approval of
        exactly this request: it is used once, or not at all. Without one, `access_request` of the grant says what to
        ask for. `tenant` is the tenant of the request, if the host knows better than the request. With `opens` False,
        the session must have been opened before: a caller that chooses ids could otherwise choose a session that has
        seen nothing. `accepts` can change the decision before anything is recorded: an allow that the host cannot
        honour becomes a deny."""
        if idempotency_key is None and approval is None and tenant is None and accepts is None:
            if session is not None:
                grant = unrecorded(principal, action, resource, context, session, opens, self._metering)
                if grant is not None:
                    return grant
            elif (
                way := straight(
                    principal, action, resource, context, lease, caller, self._placed, self._metering, self._store
                )
            ) is not None:
                try:
                    store = self._store
                    if type(store) is Memory and (done := store.charge(way, KEEP)) is not None:
                        return answered(way, done)
                    outcome = store.run(way.commit)
                except StoreError as error:
                    return away(way, error)
                return answered(way, outcome)
        asked = new_request(
            principal, action, resource, context, session, idempotency_key, lease, caller, opens, approval,
            tenant=tenant, accepts=accepts, placed=self._placed,
        )  # fmt: skip
        return run(self._authorizing(asked), self._store.run)

    async def authorize_async(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        session: str | None = None,
        idempotency_key: str | None = None,
        lease: float = 600.0,
        caller: str = "",
        opens: bool = True,
        approval: str | None = None,
        tenant: str | None = None,
        accepts: Accepts | None = None,
    ) -> Grant:
        """As `authorize`, without blocking the event loop."""
        if idempotency_key is None and approval is None and tenant is None and accepts is None:
            if session is not None:
                grant = unrecorded(principal, action, resource, context, session, opens, self._metering)
                if grant is not None:
                    return grant
            elif (
                way := straight(
                    principal, action, resource, context, lease, caller, self._placed, self._metering, self._store
                )
            ) is not None:
                try:
                    store = self._store
                    if type(store) is Memory and (done := store.charge(way, KEEP)) is not None:
                        return answered(way, done)
                    outcome = await store.run_async(way.commit)
                except StoreError as error:
                    return away(way, error)
                return answered(way, outcome)
        asked = new_request(
            principal, action, resource, context, session, idempotency_key, lease, caller, opens, approval,
            tenant=tenant, accepts=accepts, placed=self._placed,
        )  # fmt: skip
        return await run_async(self._authorizing(asked), self._store.run_async)

    def use_approval(
        self,
        *,
        principal: Mapping[str, Any],
        action: str | Mapping[str, Any],
        resource: Mapping[str, Any],
        context: Mapping[str, Any] | None = None,
        approval: str | None = None,
        session: str | None = None,
        tenant: str | None = None,
        accepts: Accepts | None = None,
    ) -> Grant:
        """Decides, and uses an approval if one is demanded: nothing is metered, and no session is marked. Otherwise as
        `authorize`."""
        asked = new_request(
            principal, action, resource, context, session, approval=approval, meters=False, tenant=tenant, opens=False,
            accepts=accepts, placed=self._placed,
        )  # fmt: skip
        return run(self._authorizing(asked), self._store.run)

    def _unrecorded(
        self, principal: Any, action: Any, resource: Any, context: Any, session: str | None, opens: bool
    ) -> Grant | None:
        """The grant of a request that concerns no store; None for any other."""
        return unrecorded(principal, action, resource, context, session, opens, self._metering)

    def _authorizing(self, asked: AuthorizeRequest) -> Authorizing:
        snapshot, known = self._metering
        return authorizing(asked, snapshot, known, snapshot.evaluator.decide_metered, self._store)

    def authorize_many(self, requests: Iterable[Mapping[str, Any]]) -> list[Grant]:
        """The grants of many requests (mappings with the keywords of `authorize`), one after the other and from one
        snapshot. Each is metered separately: a later denial does not affect earlier grants."""
        return list(self.authorize_each(requests))

    def authorize_each(self, requests: Iterable[Mapping[str, Any]]) -> Iterator[Grant]:
        """As `authorize_many`, but each request is authorized when its grant is consumed."""
        known = self._metering
        for each in requests:
            yield run(self._of_one_snapshot(known, **each), self._store.run)

    async def authorize_many_async(self, requests: Iterable[Mapping[str, Any]]) -> list[Grant]:
        """As `authorize_many`, without blocking the event loop."""
        known = self._metering
        return [await run_async(self._of_one_snapshot(known, **each), self._store.run_async) for each in requests]

    def _of_one_snapshot(
        self,
        known: tuple[Snapshot, Metering],
        *,
        principal: Any,
        action: Any,
        resource: Any,
        context: Any = None,
        session: str | None = None,
        idempotency_key: str | None = None,
        lease: float = 600.0,
        caller: str = "",
        opens: bool = True,
        approval: str | None = None,
        tenant: str | None = None,
        accepts: Accepts | None = None,
    ) -> Authorizing:
        snapshot, metering_known = known
        asked = new_request(
            principal, action, resource, context, session, idempotency_key, lease, caller, opens, approval,
            tenant=tenant, accepts=accepts, placed=self._placed,
        )  # fmt: skip
        return authorizing(asked, snapshot, metering_known, snapshot.evaluator.decide_metered, self._store)

    @property
    def approvals(self) -> Approvals:
        """Approvals, for hosts that request them and for approvers."""
        return Approvals(self._store, lambda: self._metering[0], self.events)

    def keep(self, name: str, text: str) -> str:
        """The text that all users of the store share under this name: this one, unless there is one already. Raises
        StoreError."""
        outcome = self._store.run(Keep(f"kept:{name}", text, FOREVER))
        document = outcome.documents[0] if isinstance(outcome, DocumentsFound) else None
        return str(document["text"]) if document is not None else text

    def reservation(self, id: str, *, caller: str = "") -> Grant | None:
        """The reservation that `authorize` granted to this caller, in any process, to settle, renew or cancel it; None
        if there is none. Raises StoreError."""
        key = lease_key(id)
        outcome = self._store.run(ReadDocuments((key,)))
        if (
            not isinstance(outcome, DocumentsFound)
            or (lease := outcome.documents[0]) is None
            or lease["owner"] != caller
        ):
            return None
        snapshot, known = self._metering
        return reopened(id, lease, snapshot, known, self._store, outcome.now)

    @property
    def prices(self) -> Prices:
        """The prices of tokens: `cost.usd` is computed from them if a caller does not state it."""
        return self._prices

    @prices.setter
    def prices(self, prices: Prices) -> None:
        with self._publishing:
            self._prices = prices
            self._publish()

    def find_tenants(self, tenants: FindTenants) -> None:
        """Sets the function that finds the tenants of a request, for blocks of tenants. The default are the attribute
        `tenant` of every actor, and `context.tenant`."""
        if self._board is not None:
            self._board.tell_tenants(tenants)

    @property
    def store(self) -> Store:
        """The store. Other users of it must choose other names."""
        return self._store

    @property
    def meters(self) -> Meters:
        """The meters of limits, for operators: usage, and changes to it."""
        return Meters(self._store, self.events, lambda: self._metering[1].limits)

    @property
    def blocks(self) -> Blocks:
        """The kill switch: who and what is denied, whatever the policies say."""
        return Blocks(self._store, self.events, self._refreshed)

    def _refreshed(self) -> None:
        if self._board is not None:
            with suppress(StoreError):
                self._board.read()

    def close(self) -> None:
        """Stops reading from the store. Later decisions use the blocks that are known now."""
        if self._board is not None:
            self._board.close()

    @property
    def sessions(self) -> Sessions:
        """Sessions, for a host that opens them and records results."""
        return self._sessions
