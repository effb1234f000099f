"""Load shedding: whether requests wait too long for their turn, and which of them are refused.

In: for each request, how long it waited between its arrival and its turn, and the time. Out: whether it is refused.
Reads no clock. When the machine pauses, requests wait as well, but only a few of them and not for long. So the process
counts as overloaded only if many requests in several consecutive windows had to wait. From then on, requests that
waited longer than a few others take are refused. A refusal costs little, so the requests that are answered are not
later than in a busy process. Shedding ends with a window in which nothing was refused, or nothing was asked.
"""

from __future__ import annotations

WINDOW = 0.025  # seconds
# The number of bad windows in a row; and the least number of requests in a window.
ROW, LEAST = 2, 10
# One of so many is many.
SHARE = 4
# Under overload a request waits for this many others; it has waited as long before it was read.
QUEUE = 5
# A request that has waited for less, in seconds, is never refused.
LITTLE = 0.002
# The weight of the last request in the average time of one.
_LAST = 0.1


class Backlog:
    """The backlog of one process. `most` is the number of seconds that a request may wait."""

    __slots__ = ("_bad", "_before", "_end", "_late", "_refused", "_seen", "_total", "_work", "is_shedding", "most")

    def __init__(self, most: float) -> None:
        self.most = most
        self.is_shedding = False
        self._end = 0.0
        self._seen = float("-inf")
        self._total = self._late = self._refused = 0
        self._bad = 0
        # When the turn of the one before began, if it was answered; and what one takes.
        self._before = float("inf")
        self._work = 0.0

    def refuses(self, waited: float, now: float) -> bool:
        self._look(now)
        self._total += 1
        self._late += waited > max(self.most, 2 * QUEUE * self._work)
        took = now - self._before
        if 0 < took <= waited:
            # It was there when the one before began, so it had to wait for that one.
            self._work += _LAST * (took - self._work)
        refused = self.is_shedding and waited > max(QUEUE * self._work, LITTLE)
        self._before = float("inf") if refused else now
        self._refused += refused
        return refused

    def full(self, now: float) -> None:
        """Notes that a request was refused because there was no room at all."""
        self._look(now)
        self._total += 1
        self._late += 1
        self._refused += 1

    def _look(self, now: float) -> None:
        """Begins a new window if one has ended: after its time and with enough requests, or because there were none."""
        is_idle = now - self._seen > max(WINDOW, 4 * self._work)
        self._seen = now
        if not is_idle and (now < self._end or self._total < LEAST):
            return
        is_bad = not is_idle and SHARE * self._late >= self._total
        self._bad = self._bad + 1 if is_bad else 0
        self.is_shedding = self._bad >= ROW or (self.is_shedding and not is_idle and self._refused > 0)
        self._end = now + WINDOW
        self._total = self._late = self._refused = 0
