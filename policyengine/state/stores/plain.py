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


class Plain:
    """Works on the documents of a store, on when they may be forgotten, and on the heap of what is due."""

    def __init__(self, documents: dict[str, Any], expires: dict[str, int], due: list[tuple[int, str]]) -> None:
        self._documents = documents
        self._expires = expires
        self._due = due
        # What counts of a sliding meter, so that no ring is added up twice: the document that it was counted in, and
        # the sum. A document that was written elsewhere since is another one, and is counted anew.
        self.sums: dict[str, tuple[Any, int]] = {}

    def commit(self, asked: Commit, now: int) -> Done | None:
        if not plain(asked):
            return None
        documents, sums = self._documents, self.sums
        found: list[tuple[Charge, Any, int, int, int, int]] = []
        # Nothing is charged until all of them have room.
        for charge in asked.charges:
            window, amount, meter = charge.window, charge.amount, charge.meter
            if charge.share is not None:
                return None
            document: Any = documents.get(meter)
            used, at = 0, now
            if document is not None:
                at = max(now, document["now"])
                if (
                    "holds" in document
                    or "raised" in document
                    or "reset" in document
                    or "share" in document
                    or document.get("blocked", 0) > at
                ):
                    # Something else was done to it than charging.
                    return None
            if type(window) is Sliding:
                place = at // window.width
                if document is not None:
                    known = sums.get(meter)
                    used = known[1] if known is not None and known[0] is document else _sum(document, place - BUCKETS)
                    buckets = document.get("buckets")
                    if buckets and buckets[0][0] < place - BUCKETS:
                        used = _sum(document, place - BUCKETS)
                end = (place + BUCKETS + 1) * window.width
            elif type(window) is Calendar:
                if document is None or not document.get("used") or not document["start"] <= at < document["end"]:
                    # Another period, or none yet.
                    return None
                place, end, used = document["start"], document["end"], document["used"]
            else:
                return None
            used += amount
            if used > charge.ceiling:
                return None
            found.append((charge, document, at, place, used, end))
        until, kept = now + asked.lease, now + asked.keep
        uses, places = [], []
        for charge, document, at, place, used, end in found:
            window, amount, meter = charge.window, charge.amount, charge.meter
            if type(window) is Sliding:
                if document is None:
                    document = {
                        "now": at, "buckets": [[place, amount]], "rule": charge.rule, "by": list(charge.by),
                        "ceiling": charge.ceiling, "width": window.width,
                    }  # fmt: skip
                    self._keep(meter, document, end + GRACE)
                elif "buckets" not in document:
                    document["buckets"] = [[place, amount]]
                elif (buckets := document["buckets"]) and buckets[-1][0] == place:
                    buckets[-1][1] += amount
                else:
                    while buckets and buckets[0][0] < place - BUCKETS:
                        del buckets[0]
                    buckets.append([place, amount])
                sums[meter] = (document, used)
            else:
                document["used"] = used
            document["now"], document["ceiling"] = at, charge.ceiling
            self._expires[meter] = max(end, document.get("blocked", 0)) + GRACE
            uses.append(MeterUse(charge.rule, meter, used, charge.ceiling, end))
            places.append(place)
        if places:
            self._keep("lease:" + asked.id, OpenLease(asked, until, kept, tuple(places)), kept)
        return Done(now, tuple(uses), until)

    def _keep(self, key: str, document: Any, expires: int) -> None:
        self._documents[key] = document
        if key not in self._expires:
            heappush(self._due, (expires, key))
        self._expires[key] = expires


def _sum(document: dict[str, Any], oldest: int) -> int:
    """What counts: all that has not left the window."""
    return sum([amount for index, amount in document.get("buckets", ()) if index >= oldest])
