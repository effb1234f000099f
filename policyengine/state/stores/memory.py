"""State in this process: as fast as it gets, gone when the process ends, and shared with no other.

Every key is forgotten once it has no meaning any more: each operation sweeps a few that are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from heapq import heappop, heappush
from threading import Lock
from time import monotonic, time_ns
from typing import Protocol
from weakref import WeakSet

from policyengine.state.apply import apply
from policyengine.state.block_operations import KEY, Beat, Impose
from policyengine.state.operations import (
    Document,
    DocumentsFound,
    Done,
    MeterUse,
    Operation,
    Outcome,
    ReadDocuments,
    lease_key,
)
from policyengine.state.stores.in_place import LEASE, Charging, InPlace, OpenLease, OpenLeases, Ring

# How many due keys each operation looks at: more than one operation can write, so that they never pile up.
SWEEP = 64


def clock() -> int:
    """Microseconds since 1970."""
    return time_ns() // 1_000


class BlocksListener(Protocol):
    """Receives the list of blocks: its document, and its time by the store's clock and by the monotonic clock."""

    def take(self, document: Document | None, now: int, began: float) -> None: ...


class Memory:
    """A store of dictionaries behind one lock. `now` is its clock, in microseconds since 1970."""

    def __init__(self, now: Callable[[], int] = clock) -> None:
        self._now = now
        self._lock = Lock()
        self._documents: dict[str, Document | Ring] = {}
        self._leases = OpenLeases()
        self._expires: dict[str, int] = {}
        self._due: list[tuple[int, str]] = []
        # The boards that are called with each change of the list of blocks.
        self.blocks_listeners: WeakSet[BlocksListener] = WeakSet()
        self._in_place = InPlace(self._documents, self._expires, self._due, self._leases)

    def run(self, operation: Operation) -> Outcome:
        with self._lock:
            # The usual clock is read without a function call.
            now = time_ns() // 1_000 if self._now is clock else self._now()
            due = self._due
            if due and due[0][0] <= now:
                self._sweep(now)
            done = self._in_place.done(operation, now)
            if done is not None:
                return done
            documents = self._documents
            applied = apply(operation, {key: self._found(key) for key in operation.keys}, now)
            for key, (document, expires) in applied.writes.items():
                self._leases.end(key)
                if document is None:
                    documents.pop(key, None)
                    self._expires.pop(key, None)
                    continue
                documents[key] = document
                known = self._expires.get(key)
                if known is None or expires < known:
                    heappush(self._due, (expires, key))
                self._expires[key] = expires
            if (
                type(operation) in (Beat, Impose)
                and operation.keys == (KEY,)
                and isinstance(applied.outcome, DocumentsFound)
            ):
                for listener in list(self.blocks_listeners):
                    listener.take(applied.outcome.documents[0], now, monotonic())
            # Later operations change documents in place.
            return deepcopy(applied.outcome) if type(operation) is ReadDocuments else applied.outcome

    def charge(self, charging: Charging, keep: int) -> Done | None:
        """As `run` of its commit, kept for this many microseconds, if it repeats the last charge to one meter within
        the same bucket, as nearly all do. For anything else, and if there is no room, None with nothing charged: then
        use `run`."""
        charges = charging.charges
        if len(charges) != 1:
            return None
        charge = charges[0]
        with self._lock:
            now = time_ns() // 1_000 if self._now is clock else self._now()
            due = self._due
            if due and due[0][0] <= now:
                self._sweep(now)
            ring, leases, keep_until = self._documents.get(charge.meter), self._leases, now + keep
            # A meter that has become a ring is not blocked any more.
            if (
                type(ring) is not Ring
                or ring.charge is not charge
                or not ring.now <= now < ring.turns
                or keep_until < leases.last
            ):
                return None
            used, ceiling = ring.used + charge.amount, charge.ceiling
            if used > ceiling:
                return None
            ring.now, ring.used = now, used
            # The lease is opened as in `InPlace`, without a call.
            id_, lasting = charging.id, charging.lease
            lease = OpenLease(id_, charging.owner, charges, lasting, keep, charging.memo, now, ring.places)
            leases.known[id_] = lease
            leases.last = keep_until
            if not leases.ending:
                heappush(due, (keep_until, LEASE))
            leases.ending.append(lease)
            return Done(now, (MeterUse(charge.rule, charge.meter, used, ceiling, ring.end),), now + lasting)

    async def run_async(self, operation: Operation) -> Outcome:
        return self.run(operation)

    def survey(self, kind: str) -> Iterator[tuple[str, Document]]:
        start = f"{kind}:"
        with self._lock:
            keys = [key for key in self._documents if key.startswith(start)]
            if start == LEASE:
                keys = list(dict.fromkeys([*keys, *map(lease_key, self._leases.known)]))
        for key in keys:
            with self._lock:
                document = self._found(key) if (self._ends(key) or 0) > self._now() else None
                held = deepcopy(document)
            if held is not None:
                yield key, held

    def close(self) -> None:
        """There is nothing to close."""

    def _found(self, key: str) -> Document | None:
        if (lease := self._leases.named(key)) is not None:
            return lease.document()
        document = self._documents.get(key)
        return document.document() if isinstance(document, Ring) else document

    def _ends(self, key: str) -> int | None:
        """The time from which a document may be forgotten; None if it does not exist."""
        lease = self._leases.named(key)
        return lease.keep_until if lease is not None else self._expires.get(key)

    def __len__(self) -> int:
        return len(self._documents) + len(self._leases.known)

    def _sweep(self, now: int) -> None:
        for _ in range(SWEEP):
            if not self._due or self._due[0][0] > now:
                return
            _, key = heappop(self._due)
            if key == LEASE:
                # All open leases share one entry, for the next one that is due.
                if (next_due := self._leases.forget(now, SWEEP)) is not None:
                    heappush(self._due, (next_due, LEASE))
                continue
            expires = self._expires.get(key)
            if expires is None:
                continue
            if expires > now:
                # It was written again meanwhile, and is due later.
                heappush(self._due, (expires, key))
            else:
                del self._documents[key]
                self._expires.pop(key, None)
