"""Plain operations on documents of one process: the results of `state.apply`, without copying everything.

In: a session that begins, a call in one that returned, or a commit without session, approval or idempotency key, whose
charges are to sliding and calendar windows with room. Out: the outcome that `apply` gives, with the documents changed
in place to what `apply` would have written. For anything else, None with nothing charged: then `apply`, the
specification, does the work.
"""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import Any, Protocol

from msgspec import Struct

from policyengine.state.charge_documents import held_charge
from policyengine.state.meters import GRACE
from policyengine.state.operations import (
    Charge,
    Commit,
    Document,
    DocumentsFound,
    Done,
    Label,
    MeterUse,
    OpenSession,
    Operation,
    lease_key,
)
from policyengine.state.sessions import counted, fresh, own, remembered_until
from policyengine.state.windows import BUCKETS, Calendar, Sliding

# The prefix of lease keys (`operations.lease_key`).
LEASE = lease_key("")


class Charging(Protocol):
    """The charges of an operation that does nothing else, like those of a commit. There is at least one."""

    @property
    def id(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def charges(self) -> tuple[Charge, ...]: ...
    @property
    def lease(self) -> int: ...
    @property
    def memo(self) -> str: ...


class OpenLease(Struct, frozen=True, gc=False):
    """A lease that has not changed since it was opened, as most never do: its document is made when it is read. It
    keeps only what that needs of its commit, because there are many. `opened` is when, and `places` are where its
    charges were counted."""

    id: str
    owner: str
    charges: tuple[Charge, ...]
    lease: int
    keep: int
    memo: str
    opened: int
    places: tuple[int, ...]

    @property
    def keep_until(self) -> int:
        """The time from which it may be forgotten."""
        return self.opened + self.keep

    def document(self) -> dict[str, Any]:
        held = [held_charge(charge, place) for charge, place in zip(self.charges, self.places, strict=True)]
        return {
            "owner": self.owner, "state": "open", "expires": self.opened + self.lease, "kept": self.keep_until,
            "charges": held, "memo": self.memo,
        }  # fmt: skip


class Ring(Struct, gc=False):
    """A sliding meter that has only been charged. `charge` was the last one, `place` is the bucket that it was counted
    in, `turns` when the next one begins, `end` when it leaves the window, and `used` what counts as long as time is in
    that bucket; of that, `earlier` is the sum of the buckets before it. `places` are the places of a request that
    charges nothing else. In a ring that has just been read, all buckets are earlier ones."""

    charge: Charge
    now: int
    buckets: list[list[int]]
    earlier: int
    place: int
    used: int
    turns: int
    end: int
    places: tuple[int, ...]
    blocked: int = 0

    def all_buckets(self) -> list[list[int]]:
        """The buckets, including the one that charges go to."""
        earlier = [[index, amount] for index, amount in self.buckets]
        return [*earlier, [self.place, self.used - self.earlier]] if self.places else earlier

    def document(self) -> dict[str, Any]:
        charge = self.charge
        written = {
            "now": self.now, "buckets": self.all_buckets(), "rule": charge.rule, "by": list(charge.by),
            "ceiling": charge.ceiling, "width": charge.window.width,  # type: ignore[union-attr]
        }  # fmt: skip
        return {**written, "blocked": self.blocked} if self.blocked else written


class OpenLeases:
    """The open leases of a store, by the ids of their reservations, and in the order in which they may be forgotten.
    They are kept apart from all other documents, because most requests leave one and most are never read: each takes
    one entry here, and none in a heap."""

    def __init__(self) -> None:
        self.known: dict[str, OpenLease] = {}
        self.ending: deque[OpenLease] = deque()
        # The end of the last one: leases with an earlier end are not added.
        self.last = 0

    def named(self, key: str) -> OpenLease | None:
        """The lease with this document key."""
        return self.known.get(key[len(LEASE) :]) if key.startswith(LEASE) else None

    def end(self, key: str) -> None:
        """Removes the lease: the document of this key is a different one from now on, or does not exist."""
        if key.startswith(LEASE):
            self.known.pop(key[len(LEASE) :], None)

    def forget(self, now: int, most: int) -> int | None:
        """Forgets those whose time has come, at most `most`. Returns when the next one's comes; None if there is
        none."""
        ending, known = self.ending, self.known
        for _ in range(most):
            if not ending or ending[0].keep_until > now:
                break
            lease = ending.popleft()
            if known.get(lease.id) is lease:
                del known[lease.id]
        return ending[0].keep_until if ending else None


# The members of a sliding meter's document that a ring can represent.
_SAID = {"now", "buckets", "rule", "by", "ceiling", "width", "blocked"}


class InPlace:
    """Works on the documents of a store, on their expiry times, and on the heap of what is due."""

    def __init__(
        self, documents: dict[str, Any], expires: dict[str, int], due: list[tuple[int, str]], leases: OpenLeases
    ) -> None:
        self._documents = documents
        self._expires = expires
        self._due = due
        self._leases = leases

    def done(self, operation: Operation, now: int) -> Done | DocumentsFound | None:
        """The outcome, if the operation is one of these."""
        if isinstance(operation, Commit):
            return self.commit(operation, now)
        if isinstance(operation, Label):
            return self.came_back(operation, now)
        return self.begin(operation, now) if isinstance(operation, OpenSession) else None

    def begin(self, opening: OpenSession, now: int) -> DocumentsFound | None:
        """As `sessions.apply`, for an id that is free."""
        if opening.key in self._documents:
            return None
        document = fresh(opening, now)
        expires = remembered_until(document["expires"])
        self._write(opening.key, document, expires)
        return DocumentsFound(now, (document,))

    def came_back(self, label: Label, now: int) -> Done | None:
        """As `sessions.apply`, for a call that returned without a label."""
        if label.add or label.remove or not label.completed:
            return None
        document = self._documents.get(label.key)
        if type(document) is not dict or (session := own(label, document, now)) is None:
            return None
        # Those who read the session before keep their version.
        counted_now = counted({**session, "version": session["version"] + 1}, label.completed, 2)
        if counted_now is None:
            return None
        self._write(label.key, counted_now, remembered_until(counted_now["expires"]))
        return Done(now)

    def _write(self, key: str, document: Document, expires: int) -> None:
        self._documents[key] = document
        known = self._expires.get(key)
        if known is None or expires < known:
            heappush(self._due, (expires, key))
        self._expires[key] = expires

    def commit(self, operation: Commit, now: int) -> Done | None:
        keep_until = now + operation.keep
        if (
            operation.session is not None
            or operation.once is not None
            or operation.approval is not None
            or operation.held
            or operation.elsewhere
            # The clock was set back, or the lease is kept for a different time.
            or keep_until < self._leases.last
        ):
            return None
        return self._charge_all(operation, now, keep_until)

    def _open(self, lease: OpenLease, keep_until: int) -> None:
        leases = self._leases
        leases.known[lease.id] = lease
        leases.last = keep_until
        if not leases.ending:
            heappush(self._due, (keep_until, LEASE))
        leases.ending.append(lease)

    def _charge_all(self, commit: Commit, now: int, keep_until: int) -> Done | None:
        documents = self._documents
        charges: list[tuple[Charge, Any, int, int, int, int]] = []
        # Nothing is charged until all of them have room.
        for charge in commit.charges:
            window = charge.window
            if charge.share is not None:
                return None
            document = documents.get(charge.meter)
            at = now
            if type(window) is Sliding:
                width = window.width
                if document is None:
                    place, used = at // width, 0
                else:
                    if type(document) is not Ring and (document := _ring(document, charge)) is None:
                        # It was changed by more than charges.
                        return None
                    if document.charge is not charge and document.charge.window != window:
                        return None
                    if document.now > at:
                        at = document.now
                    if document.blocked > at:
                        return None
                    place = at // width
                    used = document.used if place == document.place else _sum(document.all_buckets(), place - BUCKETS)
                end = (place + BUCKETS + 1) * width
            elif type(window) is Calendar and type(document) is dict:
                at = max(at, document["now"])
                if not _only_charged(document, at) or not document["start"] <= at < document["end"]:
                    # Another period, or none yet.
                    return None
                place, end, used = document["start"], document["end"], document["used"]
            else:
                return None
            used += charge.amount
            if used > charge.ceiling:
                return None
            charges.append((charge, document, at, place, used, end))
        uses, places = [], []
        for charge, document, at, place, used, end in charges:
            meter, ceiling = charge.meter, charge.ceiling
            if type(document) is Ring:
                if document.place != place:
                    self._turned(document, charge, place, end)
                document.charge, document.now, document.used = charge, at, used
            elif document is None:
                turns = end - BUCKETS * charge.window.width  # type: ignore[union-attr]
                documents[meter] = Ring(charge, at, [], 0, place, used, turns, end, (place,))
                self._keep(meter, end + GRACE)
            else:
                document["used"], document["now"], document["ceiling"] = used, at, ceiling
                self._expires[meter] = max(end, document.get("blocked", 0)) + GRACE
            uses.append(MeterUse(charge.rule, meter, used, ceiling, end))
            places.append(place)
        if places:
            lease = OpenLease(
                commit.id, commit.owner, commit.charges, commit.lease, commit.keep, commit.memo, now, tuple(places)
            )
            self._open(lease, keep_until)
        return Done(now, tuple(uses), now + commit.lease)

    def _turned(self, ring: Ring, charge: Charge, place: int, end: int) -> None:
        """The charge is the first of its bucket, or of the ring's new form."""
        ring.buckets = [bucket for bucket in ring.all_buckets() if place - BUCKETS <= bucket[0] < place]
        ring.earlier = _sum(ring.buckets, place - BUCKETS)
        ring.place, ring.end, ring.places = place, end, (place,)
        ring.turns = end - BUCKETS * charge.window.width  # type: ignore[union-attr]
        self._documents[charge.meter] = ring
        self._keep(charge.meter, max(end, ring.blocked) + GRACE)

    def _keep(self, key: str, expires: int) -> None:
        if key not in self._expires:
            heappush(self._due, (expires, key))
        self._expires[key] = expires


def _ring(document: Any, charge: Charge) -> Ring | None:
    """The ring of a document that `apply` has written; None if a ring cannot represent it. It has no place yet: the sum
    of what counts comes first."""
    if type(document) is not dict or not document.keys() <= _SAID or "buckets" not in document:
        return None
    if document.get("width") != charge.window.width:  # type: ignore[union-attr]
        return None
    buckets = [[index, amount] for index, amount in document["buckets"]]
    return Ring(charge, document["now"], buckets, 0, -1, 0, 0, 0, (), document.get("blocked", 0))


def _only_charged(document: dict[str, Any], at: int) -> bool:
    return bool(document.get("used")) and not (
        "holds" in document
        or "raised" in document
        or "reset" in document
        or "share" in document
        or document.get("blocked", 0) > at
    )


def _sum(buckets: list[list[int]], oldest: int) -> int:
    """The sum of everything that has not left the window."""
    return sum([amount for index, amount in buckets if index >= oldest])
