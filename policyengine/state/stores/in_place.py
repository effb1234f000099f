"""Plain charges on documents that one process holds: what `state.apply` does, without making everything anew.

In: a commit without session, approval or idempotency key, whose charges are of sliding and calendar windows that have
room. Out: the outcome that `apply` gives, with the documents changed in place to what `apply` would have written. None,
with nothing charged, for anything else: `apply` is the specification and then does the work.
"""

from __future__ import annotations

from heapq import heappush
from typing import Any

from msgspec import Struct

from policyengine.state.held import held_charge
from policyengine.state.meters import GRACE
from policyengine.state.operations import Charge, Commit, Done, MeterUse, plain
from policyengine.state.windows import BUCKETS, Calendar, Sliding


class OpenLease(Struct, frozen=True, gc=False):
    """A lease that nothing has become of yet, of which most say nothing more: its document is made when it is read.
    `places` are where its charges were counted."""

    asked: Commit
    until: int
    kept: int
    places: tuple[int, ...]

    def document(self) -> dict[str, Any]:
        asked = self.asked
        held = [held_charge(charge, place) for charge, place in zip(asked.charges, self.places, strict=True)]
        return {
            "owner": asked.owner, "state": "open", "expires": self.until, "kept": self.kept, "charges": held,
            "memo": asked.memo,
        }  # fmt: skip


class Ring(Struct, gc=False):
    """A sliding meter of which nothing is known but what was charged. `charge` was the last one, `place` is the bucket
    that it was counted in, and `used` what counts as long as time lies there."""

    charge: Charge
    now: int
    buckets: list[list[int]]
    place: int
    used: int
    blocked: int = 0

    def document(self) -> dict[str, Any]:
        charge, buckets = self.charge, [[index, amount] for index, amount in self.buckets]
        told = {
            "now": self.now, "buckets": buckets, "rule": charge.rule, "by": list(charge.by), "ceiling": charge.ceiling,
            "width": charge.window.width,  # type: ignore[union-attr]
        }  # fmt: skip
        return {**told, "blocked": self.blocked} if self.blocked else told


# What a document of a sliding meter says that a ring can say.
_SAID = {"now", "buckets", "rule", "by", "ceiling", "width", "blocked"}


class InPlace:
    """Works on the documents of a store, on when they may be forgotten, and on the heap of what is due."""

    def __init__(self, documents: dict[str, Any], expires: dict[str, int], due: list[tuple[int, str]]) -> None:
        self._documents = documents
        self._expires = expires
        self._due = due

    def commit(self, asked: Commit, now: int) -> Done | None:
        if not plain(asked):
            return None
        charges = asked.charges
        return (self._same(asked, charges[0], now) if len(charges) == 1 else None) or self._all(asked, now)

    def _same(self, asked: Commit, charge: Charge, now: int) -> Done | None:
        """The only charge of a request, which is the last one of its ring again and lies in the same bucket, as nearly
        all do. None for any other."""
        ring = self._documents.get(charge.meter)
        if type(ring) is not Ring or ring.charge is not charge or now < ring.now or now < ring.blocked:
            return None
        width: int = charge.window.width  # type: ignore[union-attr]
        place, used = ring.place, ring.used + charge.amount
        if now // width != place or used > charge.ceiling:
            return None
        ring.now, ring.used = now, used
        ring.buckets[-1][1] += charge.amount
        key, until, kept = "lease:" + asked.id, now + asked.lease, now + asked.keep
        self._documents[key] = OpenLease(asked, until, kept, (place,))
        heappush(self._due, (kept, key))
        use = MeterUse(charge.rule, charge.meter, used, charge.ceiling, (place + BUCKETS + 1) * width)
        return Done(now, (use,), until)

    def _all(self, asked: Commit, now: int) -> Done | None:
        documents = self._documents
        charges: list[tuple[Charge, Any, int, int, int, int]] = []
        # Nothing is charged until all of them have room.
        for charge in asked.charges:
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
                        # Something else was done to it than charging.
                        return None
                    if document.charge is not charge and document.charge.window != window:
                        return None
                    if document.now > at:
                        at = document.now
                    if document.blocked > at:
                        return None
                    place = at // width
                    used = document.used if place == document.place else _sum(document.buckets, place - BUCKETS)
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
        until, kept = now + asked.lease, now + asked.keep
        uses, places = [], []
        for charge, document, at, place, used, end in charges:
            meter, ceiling = charge.meter, charge.ceiling
            if type(document) is Ring:
                document.charge, document.now, document.used = charge, at, used
                if document.place == place:
                    document.buckets[-1][1] += charge.amount
                else:
                    self._turned(document, place, end)
            elif document is None:
                documents[meter] = Ring(charge, at, [[place, charge.amount]], place, used)
                self._keep(meter, end + GRACE)
            else:
                document["used"], document["now"], document["ceiling"] = used, at, ceiling
                self._expires[meter] = max(end, document.get("blocked", 0)) + GRACE
            uses.append(MeterUse(charge.rule, meter, used, ceiling, end))
            places.append(place)
        if places:
            key = "lease:" + asked.id
            documents[key] = OpenLease(asked, until, kept, tuple(places))
            heappush(self._due, (kept, key))
        return Done(now, tuple(uses), until)

    def _turned(self, ring: Ring, place: int, end: int) -> None:
        """The charge is the first of its bucket, or of the ring's new form."""
        buckets, charge = ring.buckets, ring.charge
        while buckets and buckets[0][0] < place - BUCKETS:
            del buckets[0]
        if buckets and buckets[-1][0] == place:
            buckets[-1][1] += charge.amount
        else:
            buckets.append([place, charge.amount])
        ring.place = place
        self._documents[charge.meter] = ring
        self._keep(charge.meter, max(end, ring.blocked) + GRACE)

    def _keep(self, key: str, expires: int) -> None:
        if key not in self._expires:
            heappush(self._due, (expires, key))
        self._expires[key] = expires


def _ring(document: Any, charge: Charge) -> Ring | None:
    """The ring of a document that `apply` has written; None where it says more. It has no place: what counts is added
    up first."""
    if type(document) is not dict or not document.keys() <= _SAID or "buckets" not in document:
        return None
    if document.get("width") != charge.window.width:  # type: ignore[union-attr]
        return None
    buckets = [[index, amount] for index, amount in document["buckets"]]
    return Ring(charge, document["now"], buckets, -1, 0, document.get("blocked", 0))


def _only_charged(document: dict[str, Any], at: int) -> bool:
    return bool(document.get("used")) and not (
        "holds" in document
        or "raised" in document
        or "reset" in document
        or "share" in document
        or document.get("blocked", 0) > at
    )


def _sum(buckets: list[list[int]], oldest: int) -> int:
    """What counts: all that has not left the window."""
    return sum([amount for index, amount in buckets if index >= oldest])
