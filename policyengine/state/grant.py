"""The answer to an authorized request: the decision, and everything that belongs to this request alone.

Decisions are shared by all requests with the same decision; ids, charges, times and leases are kept here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import ceil
from types import TracebackType
from typing import Any, Protocol, Self

from msgspec import Struct

from policyengine.evaluate.interpret import EvaluationError
from policyengine.model.decision import Decision
from policyengine.model.values import Fault
from policyengine.state import amounts
from policyengine.state.approving import AccessRequest, Used, Why
from policyengine.state.charges import Metered, real_amount
from policyengine.state.operations import Cancel, Done, LimitRefusal, MeterUse, Outcome, Rejected, Renew, Settle
from policyengine.state.prices import NO_PRICES, NoPrice, Prices, actual, follows
from policyengine.state.store import Store, StoreError
from policyengine.state.windows import SECOND


@dataclass(frozen=True, slots=True)
class Limit:
    """The state of one meter of a limit, in the numbers of the policy. `resets_at` is when it would be empty without
    further requests, in seconds since 1970."""

    rule: str
    used: float
    ceiling: float
    resets_at: float

    @property
    def remaining(self) -> float:
        return max(0.0, self.ceiling - self.used)

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "used": self.used,
            "ceiling": self.ceiling,
            "remaining": self.remaining,
            "resets_at": self.resets_at,
        }


class SettleError(Exception):
    """A change to a reservation cannot be recorded. Its estimate stays charged."""


class Terms(Protocol):
    """What a grant needs to be settled, renewed and cancelled."""

    @property
    def store(self) -> Store: ...
    @property
    def owner(self) -> str: ...
    @property
    def metered(self) -> tuple[Metered, ...]: ...
    @property
    def lease(self) -> int: ...


class KnownTerms(Struct, frozen=True, gc=False):
    """Terms that are already computed."""

    store: Store
    owner: str
    metered: tuple[Metered, ...]
    lease: int


class Grant(Struct, eq=False, gc=False):
    """A decision that has been recorded. `allowed` is as strict as the decision's: there must be no obligations.

    decision: the decision; a limit without room makes it a deny.
    id: the reservation; empty if nothing is metered.
    limits: the state of each applicable limit after this request.
    denied_by: the limits without room.
    retry_after: after how many seconds the request would succeed without further requests; None if it was not denied
        for lack of room, or could never fit.
    replayed: whether it was granted before, under the same idempotency key.
    metered: False if the store was unavailable and every limit says `on failure allow`.
    access_request: what to request, if only approvals are missing.
    approval: the approval that was used.
    approval_denied: why a presented approval did not help.
    expires_at: the end of the lease, in seconds since 1970. Then the estimate stays charged and concurrency is freed.
    """

    decision: Decision
    id: str = ""
    # The state of the meters, and the same in the policy's own numbers, on demand.
    _limits: tuple[Limit, ...] | None = ()
    _uses: tuple[MeterUse, ...] = ()
    expires_at: float = 0.0
    _terms: Terms | None = None
    # The prices of tokens that are settled.
    prices: Prices = NO_PRICES
    denied_by: tuple[str, ...] = ()
    retry_after: int | None = None
    replayed: bool = False
    metered: bool = True
    # What to request, or a function that makes it on demand.
    _access: AccessRequest | Callable[[], AccessRequest] | None = None
    approval: Used | None = None
    approval_denied: Why | None = None
    _done: bool = False
    # Called with the additional usage when the grant is settled; and by meter, the amount that counts so far.
    on_settled: Callable[[Sequence[MeterUse], Mapping[str, int]], None] | None = None
    counted: dict[str, int] | None = None

    @property
    def allowed(self) -> bool:
        return self.decision.allowed

    @property
    def approvable(self) -> bool:
        """Whether only approvals are missing."""
        return self._access is not None

    @property
    def access_request(self) -> AccessRequest | None:
        if callable(self._access):
            self._access = self._access()
        return self._access

    @property
    def limits(self) -> tuple[Limit, ...]:
        if self._limits is None:
            self._limits = limits(self._uses)
        return self._limits

    def __bool__(self) -> bool:
        return self.allowed

    def __repr__(self) -> str:
        return f"Grant({self.decision.summary!r}, id={self.id!r})"

    # ---- settling: each method has a sync and an async form around one operation ----

    def settle(self, cost: Mapping[str, Any] | None = None) -> tuple[Limit, ...]:
        """Records the real cost, with the keys of `context.cost`; what it does not mention stays as estimated. Returns
        the state of the limits. Raises SettleError if it is not a cost, or if the reservation has ended or belongs to
        somebody else; StoreError if the store is unavailable: then settle again."""
        asked = self._settle(cost or {}, True)
        return self._settled(self._run(asked), asked)

    async def settle_async(self, cost: Mapping[str, Any] | None = None) -> tuple[Limit, ...]:
        asked = self._settle(cost or {}, True)
        return self._settled(await self._run_async(asked), asked)

    def add(self, cost: Mapping[str, Any]) -> bool:
        """Records the total that has been spent so far; the work goes on. False once a limit has been passed: then
        stop."""
        asked = self._settle(cost, False)
        return all(limit.used <= limit.ceiling for limit in self._said(self._run(asked), asked))

    async def add_async(self, cost: Mapping[str, Any]) -> bool:
        asked = self._settle(cost, False)
        return all(limit.used <= limit.ceiling for limit in self._said(await self._run_async(asked), asked))

    def renew(self, seconds: float | None = None) -> None:
        """Extends the lease to this many seconds from now. Raises SettleError if it has ended."""
        self._renewed(self._run(self._renew(seconds)))

    async def renew_async(self, seconds: float | None = None) -> None:
        self._renewed(await self._run_async(self._renew(seconds)))

    def cancel(self) -> None:
        """Gives back what was reserved, because nothing was done. Raises SettleError if the reservation has ended."""
        self._cancelled(self._run(self._cancel()))

    async def cancel_async(self) -> None:
        self._cancelled(await self._run_async(self._cancel()))

    def withdraw(self) -> None:
        """`cancel`, for something that was granted and is not done after all. If it has ended, or the store is
        unavailable, the lease ends by itself. Never raises."""
        if self.id:
            with suppress(StoreError, SettleError):
                self.cancel()

    async def withdraw_async(self) -> None:
        if self.id:
            with suppress(StoreError, SettleError):
                await self.cancel_async()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """A grant that is left unsettled keeps its estimate: a crash must not make the work free. Its concurrency is
        freed now, not when the lease ends."""
        if not self._done and self._terms is not None and self.id:
            self.settle()

    # ---- the operations ----

    def _settle(self, cost: Mapping[str, Any], final: bool) -> Settle | None:
        if (terms := self._terms) is None:
            return None
        amounts: dict[str, int] = {}
        try:
            for metered in terms.metered:
                if metered.limit.spec.of is not None:
                    # The largest amount of all actors, as it was estimated.
                    meter = metered.charge.meter
                    amounts[meter] = max(amounts.get(meter, 0), real_amount(metered, self._cost(metered, cost)))
        except NoPrice as error:
            raise SettleError(error.message) from None
        except EvaluationError as error:
            raise SettleError(error.message) from None
        except Fault as fault:
            raise SettleError(fault.message) from None
        windows = tuple((metered.charge.meter, metered.charge.window) for metered in terms.metered)
        return Settle(self.id, terms.owner, tuple(amounts.items()), windows, final)

    def _cost(self, metered: Metered, said: Mapping[str, Any]) -> Mapping[str, Any]:
        if not follows(said):
            return said
        asked = metered.env.request
        resource = {**asked.resource.attributes, "type": asked.resource.uid.type, "id": asked.resource.uid.id}
        return actual(asked.context.get("cost"), said, resource, self.prices)

    def _renew(self, seconds: float | None) -> Renew | None:
        if (terms := self._terms) is None:
            return None
        lease = terms.lease if seconds is None else round(seconds * SECOND)
        return Renew(self.id, terms.owner, lease, tuple(metered.charge.meter for metered in terms.metered))

    def _cancel(self) -> Cancel | None:
        if (terms := self._terms) is None:
            return None
        return Cancel(self.id, terms.owner, tuple(metered.charge.meter for metered in terms.metered))

    def _run(self, operation: Settle | Renew | Cancel | None) -> Outcome:
        return self._terms.store.run(operation) if self._terms is not None and operation is not None else Done(0)

    async def _run_async(self, operation: Settle | Renew | Cancel | None) -> Outcome:
        if self._terms is None or operation is None:
            return Done(0)
        return await self._terms.store.run_async(operation)

    # ---- their outcomes ----

    def _settled(self, outcome: Outcome, asked: Settle | None) -> tuple[Limit, ...]:
        self._limits = said = self._said(outcome, asked)
        self._done = True
        return said

    def _said(self, outcome: Outcome, asked: Settle | None) -> tuple[Limit, ...]:
        uses = _done(outcome).uses
        if self.on_settled is not None and asked is not None:
            self.on_settled(uses, self._more(asked))
        return limits(uses)

    def _more(self, settle: Settle) -> dict[str, int]:
        """By meter, how much its usage has risen."""
        if self.counted is None:
            self.counted = (
                {metered.charge.meter: metered.charge.amount for metered in self._terms.metered} if self._terms else {}
            )
        more = {}
        for meter, amount in settle.actual:
            before = self.counted.get(meter, 0)
            # Until the end, an estimate counts unless more than it has been spent.
            self.counted[meter] = amount if settle.final else max(amount, before)
            more[meter] = self.counted[meter] - before
        return more

    def _renewed(self, outcome: Outcome) -> None:
        self.expires_at = _done(outcome).expires_at / SECOND

    def _cancelled(self, outcome: Outcome) -> None:
        _done(outcome)
        self._done = True


def grant_json(grant: Grant) -> dict[str, Any]:
    """The fields of a grant besides its decision."""
    said: dict[str, Any] = {}
    if grant.limits:
        said["meters"] = [limit.as_json() for limit in grant.limits]
    if grant.id:
        said["reservation"] = {"id": grant.id, "expires_at": grant.expires_at, "replayed": grant.replayed}
    if grant.denied_by:
        said |= {"denied_by": grant.denied_by, "retry_after": grant.retry_after}
    if not grant.metered:
        said["metered"] = False
    return said


def limits(uses: tuple[MeterUse, ...]) -> tuple[Limit, ...]:
    """The state of meters, for people."""
    return tuple(
        Limit(use.rule, amounts.number(use.used), amounts.number(use.ceiling), use.resets_at / SECOND) for use in uses
    )


def refused(refusals: tuple[LimitRefusal, ...]) -> tuple[Limit, ...]:
    """The state of meters without room."""
    return tuple(
        Limit(r.rule, amounts.number(r.used), amounts.number(r.ceiling), (r.retry_at or 0) / SECOND) for r in refusals
    )


def retry_after(refusals: tuple[LimitRefusal, ...], now: int) -> int | None:
    """Whole seconds until all of them have room, rounded up; None if one never will."""
    ats = [refusal.retry_at for refusal in refusals]
    latest = max((at for at in ats if at is not None), default=now)
    return None if None in ats else max(1, ceil((latest - now) / SECOND))


def _done(outcome: Outcome) -> Done:
    if isinstance(outcome, Rejected):
        raise SettleError(outcome.reason)
    if not isinstance(outcome, Done):
        raise SettleError("the state store gave an answer of the wrong kind")
    return outcome
