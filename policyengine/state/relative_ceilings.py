"""Ceilings relative to the past: what a meter counted in previous periods, and how much of that is allowed now.

Pure. The meter of a limit with a share has two more members:

    {"share": [percent, periods, length], "past": [[start of a period, amount], ...]}

`past` has everything that was counted, even if an operator has reset it since, and includes the current period, which
is not part of its own average. A period without usage counts as zero. Periods of a sliding window begin at the
multiples of its length. The age of a period is determined by rounding, because days and months differ in length."""

from __future__ import annotations

from policyengine.state.amounts import LARGEST
from policyengine.state.operations import Document
from policyengine.state.windows import Calendar, Sliding, Window

# Sums stay exact in every store: Redis computes in Lua with doubles.
MOST = 2**53 - 1


def shared(document: Document | None, share: tuple[int, int, int] | None) -> Document | None:
    """The document of a meter whose limit has this share, replacing any other share."""
    if share is not None:
        return {"now": 0, **(document or {}), "share": list(share)}
    if document is None or "share" not in document:
        return document
    return {name: value for name, value in document.items() if name not in ("share", "past")}


def relative_ceiling(document: Document, window: Window, now: int) -> int:
    """The allowed share of the average, as of now."""
    percent, periods, length = document["share"]
    begin, total = period_start(document, window, now), 0
    for start, amount in document.get("past", ()):
        if 1 <= _age(begin, start, length) <= periods:
            total = min(total + amount, MOST)
    whole, rest = divmod(total, 100 * periods)
    return int(min(whole * percent + rest * percent // (100 * periods), LARGEST))


def more(document: Document, window: Window, now: int, amount: int) -> Document:
    """The document with this amount added to the current period, without periods that are too old."""
    _, periods, length = document["share"]
    begin = period_start(document, window, now)
    past = [list(one) for one in document.get("past", ()) if _age(begin, one[0], length) <= periods]
    if past and past[-1][0] == begin:
        past[-1][1] += amount
    else:
        past.append([begin, amount])
    return {**document, "past": past}


def less(document: Document, window: Window, where: int, amount: int) -> Document:
    """The document with this amount subtracted from the period in which it was counted."""
    length = document["share"][2]
    begin = where * window.width // length * length if isinstance(window, Sliding) else where
    past = [[start, counted - amount if start == begin else counted] for start, counted in document.get("past", ())]
    return {**document, "past": past}


def turns(document: Document, window: Window, now: int) -> int:
    """When the next period begins. After that, the average can only fall without further requests."""
    if isinstance(window, Calendar):
        for start, end in _known(document, window):
            if start <= now < end:
                return int(end)
    return period_start(document, window, now) + int(document["share"][2])


def ends(document: Document) -> int:
    """When the past affects no average any more."""
    _, periods, length = map(int, document["share"])
    return max((int(start) for start, _ in document.get("past", ())), default=0) + (periods + 2) * length


def period_start(document: Document, window: Window, now: int) -> int:
    """When the period of `now` began."""
    length = int(document["share"][2])
    if isinstance(window, Calendar):
        known = _known(document, window)
        for start, end in known:
            if start <= now < end:
                return int(start)
        # Outside the named periods, every period has the most frequent length.
        last = max((end for _, end in known if end <= now), default=0)
        return int(last + (now - last) // length * length)
    return now // length * length


def _known(document: Document, window: Calendar) -> tuple[tuple[int, int], ...]:
    """The known periods, the one that the meter counts first."""
    if "start" not in document:
        return window.periods
    return ((int(document["start"]), int(document["end"])), *window.periods)


def _age(begin: int, start: int, length: int) -> int:
    """How many periods are between two beginnings."""
    return int((2 * (begin - start) + length) // (2 * length))
