"""Ceilings relative to the past: what a meter counted in the periods before, and how much of that there may be now.

Pure. A meter whose limit has a share keeps two members more:

    {"share": [percent, periods, length], "past": [[start of a period, amount], ...]}

`past` has all that was counted, whatever an operator has reset since, and so has this period, which is not part of its
own average. A period in which nothing was counted counts as nothing. Periods of a sliding window lie at the multiples
of its length. Which period is how old is told by rounding, as days and months are not of one length.
"""

from __future__ import annotations

from policyengine.state.amounts import LARGEST
from policyengine.state.operations import Document
from policyengine.state.windows import Calendar, Sliding, Window

# Sums stay exact in every store: Redis counts in Lua with doubles.
MOST = 2**53 - 1


def shared(document: Document | None, share: tuple[int, int, int] | None) -> Document | None:
    """The document of a meter whose limit has this share, whichever it had before."""
    if share is not None:
        return {"now": 0, **(document or {}), "share": list(share)}
    if document is None or "share" not in document:
        return document
    return {name: value for name, value in document.items() if name not in ("share", "past")}


def relative_ceiling(document: Document, window: Window, now: int) -> int:
    """The share of the average that there may be now."""
    percent, periods, length = document["share"]
    begin, total = began(document, window, now), 0
    for start, amount in document.get("past", ()):
        if 1 <= _age(begin, start, length) <= periods:
            total = min(total + amount, MOST)
    whole, rest = divmod(total, 100 * periods)
    return int(min(whole * percent + rest * percent // (100 * periods), LARGEST))


def more(document: Document, window: Window, now: int, amount: int) -> Document:
    """The document with an amount more in this period, without what is too old to count."""
    _, periods, length = document["share"]
    begin = began(document, window, now)
    past = [list(one) for one in document.get("past", ()) if _age(begin, one[0], length) <= periods]
    if past and past[-1][0] == begin:
        past[-1][1] += amount
    else:
        past.append([begin, amount])
    return {**document, "past": past}


def less(document: Document, window: Window, where: int, amount: int) -> Document:
    """The document with an amount less in the period in which it was counted."""
    length = document["share"][2]
    begin = where * window.width // length * length if isinstance(window, Sliding) else where
    past = [[start, counted - amount if start == begin else counted] for start, counted in document.get("past", ())]
    return {**document, "past": past}


def turns(document: Document, window: Window, now: int) -> int:
    """When the next period begins. After that, the average can only fall where nothing else comes."""
    if isinstance(window, Calendar):
        for start, end in _known(document, window):
            if start <= now < end:
                return int(end)
    return began(document, window, now) + int(document["share"][2])


def ends(document: Document) -> int:
    """When nothing of the past is part of an average any more."""
    _, periods, length = map(int, document["share"])
    return max((int(start) for start, _ in document.get("past", ())), default=0) + (periods + 2) * length


def began(document: Document, window: Window, now: int) -> int:
    """When the period that `now` lies in began."""
    length = int(document["share"][2])
    if isinstance(window, Calendar):
        known = _known(document, window)
        for start, end in known:
            if start <= now < end:
                return int(start)
        # Of what nobody has named, every period is as long as most.
        last = max((end for _, end in known if end <= now), default=0)
        return int(last + (now - last) // length * length)
    return now // length * length


def _known(document: Document, window: Calendar) -> tuple[tuple[int, int], ...]:
    """The periods that are known, the one that the meter counts first."""
    if "start" not in document:
        return window.periods
    return ((int(document["start"]), int(document["end"])), *window.periods)


def _age(begin: int, start: int, length: int) -> int:
    """How many periods lie between two beginnings."""
    return int((2 * (begin - start) + length) // (2 * length))
