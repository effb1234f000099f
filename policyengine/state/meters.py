"""The arithmetic of one meter: how much is used, whether there is room, when there will be room.

In: a meter's document and the time. Out: numbers, and the document after a change. Pure. The documents:

    sliding     {"now": time, "buckets": [[index, amount], ...]}     in the order of their index
    calendar    {"now": time, "start": time, "end": time, "used": amount}
    concurrent  {"now": time, "leases": {id: end of the lease}}

An amount that is held for a later commit counts until that commit or until the hold ends: `holds`, {id: [amount, end]}.
`now` is the latest time the meter has seen: its time never runs backwards. `blocked` is until when it refuses
everything. `raised` are additions to the ceiling, and their ends: [[amount, end], ...]. `reset` is the first bucket
from which amounts are still given back, and until when that matters: [index, end]; a calendar meter's period is moved a
microsecond back instead, so that no earlier lease belongs to it. `share` and `past` are for ceilings relative to the
past: `relative_ceilings.py`.
"""

from __future__ import annotations

from typing import Any, assert_never

from policyengine.state import relative_ceilings
from policyengine.state.amounts import MICRO
from policyengine.state.operations import Document
from policyengine.state.windows import BUCKETS, Calendar, Concurrent, Sliding, Window

# If a clock is set back by less than this, in microseconds, everything that counts is still there.
GRACE = 60_000_000
# The most simultaneous raises of a ceiling.
MOST_RAISES = 64


class ClockSkew(Exception):
    """The store's time is in none of the periods that the host named."""


def time_of(document: Document | None, now: int) -> int:
    """The current time of this meter."""
    return max(now, int(document["now"])) if document is not None else now


def place(document: Document, window: Window, now: int) -> int:
    """Where an amount that is charged now is counted: the bucket, or the start of the period."""
    match window:
        case Sliding(width):
            return now // width
        case Calendar():
            return int(document["start"])
        case Concurrent():
            return 0
    assert_never(window)


def used(document: Document | None, window: Window, now: int) -> int:
    """The amount that counts now."""
    return sum(amount for _, amount in _live(document, window, now))


def empty_at(document: Document | None, window: Window, now: int) -> int:
    """When nothing counts any more, without further requests."""
    return max((end for end, _ in _live(document, window, now)), default=now)


def room_at(document: Document | None, window: Window, now: int, amount: int, ceiling: int) -> int | None:
    """When the amount fits, without further requests: now, later, or never (None)."""
    blocked = document.get("blocked", 0) if document is not None else 0
    live = sorted(_live(document, window, now))
    if document is not None and ("share" in document or _raises(document, now)):
        # The ceiling changes as well, so there may be room only for a while.
        times = {max(now, blocked), *(end for end, _ in live if end > blocked)}
        if "share" in document and (turn := relative_ceilings.turns(document, window, now)) > blocked:
            times.add(turn)
        for time in sorted(times):
            left = sum(counted for end, counted in live if end > time) + amount
            if left <= ceiling_at(document, window, ceiling, time):
                return time
        return None
    if amount > ceiling:
        return None
    left = sum(counted for _, counted in live) + amount - ceiling
    at = now
    for end, counted in live:
        if left <= 0:
            break
        left -= counted
        at = end
    return max(at, blocked)


def charged(document: Document | None, window: Window, now: int, amount: int, lease: str, until: int) -> Document:
    """The document with this amount added now."""
    made = _charged(document, window, now, amount, lease, until)
    return relative_ceilings.more(made, window, now, amount) if "share" in made else made


def _charged(document: Document | None, window: Window, now: int, amount: int, lease: str, until: int) -> Document:
    match window:
        case Sliding(width):
            index = now // width
            document = _tidy(document, now)
            buckets = [list(b) for b in _buckets(document) if b[0] >= index - BUCKETS]
            if buckets and buckets[-1][0] == index:
                buckets[-1][1] += amount
            else:
                buckets.append([index, amount])
            return _with(document, now, buckets=buckets)
        case Calendar():
            document = _tidy(document, now)
            if document is not None and _lies(document, now):
                # It is in the period that the meter counts already, even if this host knows another calendar.
                return _with(document, now, used=document["used"] + amount)
            start, end = _period(window, now)
            return _with(document, now, start=start, end=end, used=amount)
        case Concurrent():
            document = _tidy(document, now)
            alive = {id_: end for id_, end in _leases(document).items() if end > now}
            return _with(document, now, leases={**alive, lease: until})
    assert_never(window)


def returned(
    document: Document | None, window: Window, now: int, amount: int, where: int, lease: str
) -> Document | None:
    """The document with this amount subtracted where it was counted; nothing changes if that has left the window."""
    if document is None:
        return None
    if "share" in document:
        document = relative_ceilings.less(document, window, where, amount)
    match window:
        case Sliding():
            if where <= document.get("reset", (-1, 0))[0]:
                return document
            buckets = [[i, a - amount if i == where else a] for i, a in _buckets(document)]
            return _with(document, now, buckets=[b for b in buckets if b[1] > 0])
        case Calendar():
            if document.get("start") != where:
                return document
            return _with(document, now, used=max(0, document["used"] - amount))
        case Concurrent():
            return _with(document, now, leases={k: end for k, end in _leases(document).items() if k != lease})
    assert_never(window)


def expires(document: Document, window: Window, now: int) -> int:
    """When the document may be forgotten: once it has had no meaning for a while."""
    ends = [int(end) for _, end in document.get("raised", ())]
    if "reset" in document:
        ends.append(int(document["reset"][1]))
    if "share" in document:
        ends.append(relative_ceilings.ends(document))
    return max(empty_at(document, window, now), int(document.get("blocked", 0)), *ends) + GRACE


# ---- what operators do ----


def ceiling_at(document: Document | None, window: Window, ceiling: int, now: int) -> int:
    """The ceiling as of now."""
    if document is not None and "share" in document:
        ceiling = max(ceiling, relative_ceilings.relative_ceiling(document, window, now))
    return ceiling + raised_by(document, now)


def raised_by(document: Document | None, now: int) -> int:
    """How far the ceiling is raised above the policy's now."""
    return sum(more for more, _ in _raises(document, now))


def raised(document: Document | None, now: int, amount: int, until: int) -> Document | None:
    """The document with the ceiling raised until then; None if there are too many raises."""
    raises = _raises(document, now)
    return None if len(raises) >= MOST_RAISES else _with(document, now, raised=[*raises, [amount, until]])


def reset(document: Document, window: Window, now: int) -> Document:
    """The document in which only amounts held for a later commit count."""
    remaining = {name: value for name, value in document.items() if name != "blocked"}
    match window:
        case Sliding(width):
            index = now // width
            return _with(remaining, now, buckets=[], reset=[index, (index + BUCKETS + 1) * width])
        case Calendar():
            if "start" not in remaining:
                return _with(remaining, now)
            return _with(remaining, now, start=remaining["start"] - 1, used=0, reset=[0, remaining["end"]])
        case Concurrent():
            return _with(remaining, now, leases={})
    assert_never(window)


def window_end(document: Document | None, window: Window, now: int) -> int:
    """When everything that can be counted now has left the window."""
    match window:
        case Sliding(width):
            return (now // width + BUCKETS + 1) * width
        case Calendar():
            if document is not None and _lies(document, now):
                return int(document["end"])
            return _period(window, now)[1]
        case Concurrent():
            return now
    assert_never(window)


def _raises(document: Document | None, now: int) -> list[list[int]]:
    return [one for one in (document or {}).get("raised", ()) if one[1] > now]


def _tidy(document: Document | None, now: int) -> Document | None:
    """The document without expired parts."""
    if document is None or ("raised" not in document and "reset" not in document):
        return document
    tidied = {name: value for name, value in document.items() if name not in ("raised", "reset")}
    if raises := _raises(document, now):
        tidied["raised"] = raises
    if "reset" in document and document["reset"][1] > now:
        tidied["reset"] = document["reset"]
    return tidied


# ---- what counts ----


def with_hold(document: Document | None, window: Window, now: int, amount: int, id_: str, until: int) -> Document:
    """The document with an amount that counts until it is charged, or until this time."""
    if isinstance(window, Concurrent):
        return charged(document, window, now, amount, id_, until)
    alive = {k: hold for k, hold in _holds(document).items() if hold[1] > now}
    return _with(document, now, holds={**alive, id_: [amount, until]})


def without_hold(document: Document | None, id_: str) -> Document | None:
    """The document without the hold of this id."""
    if document is None:
        return None
    remaining = {k: v for k, v in document.items() if k != "holds"}
    if holds := {k: hold for k, hold in _holds(document).items() if k != id_}:
        remaining["holds"] = holds
    if "leases" in remaining:
        remaining["leases"] = {k: end for k, end in remaining["leases"].items() if k != id_}
    return remaining


def _live(document: Document | None, window: Window, now: int) -> list[tuple[int, int]]:
    """What counts now: until when, and how much."""
    if document is None:
        return []
    holds = [(end, amount) for amount, end in _holds(document).values() if end > now]
    match window:
        case Sliding(width):
            oldest = now // width - BUCKETS
            return [*[((i + BUCKETS + 1) * width, a) for i, a in _buckets(document) if i >= oldest], *holds]
        case Calendar():
            counts = document.get("used", 0) and _lies(document, now)
            return [(document["end"], document["used"]), *holds] if counts else holds
        case Concurrent():
            return [(end, MICRO) for end in _leases(document).values() if end > now]
    assert_never(window)


def _lies(document: Document, now: int) -> bool:
    return bool(document.get("start", 0) <= now < document.get("end", 0))


def _holds(document: Document | None) -> dict[str, list[int]]:
    return document.get("holds", {}) if document is not None else {}


def _period(window: Calendar, now: int) -> tuple[int, int]:
    for start, end in window.periods:
        if start <= now < end:
            return start, end
    raise ClockSkew


def _buckets(document: Document | None) -> Any:
    return document.get("buckets", ()) if document is not None else ()


def _leases(document: Document | None) -> dict[str, int]:
    return document.get("leases", {}) if document is not None else {}


def _with(document: Document | None, now: int, **changed: Any) -> Document:
    return {**(document or {}), "now": now, **changed}
