"""The reference that every store is compared with: every event is kept, and everything is counted anew each time.

Written without a look at `policyengine.state`: amounts are entries in a list, a sliding window counts the entries of
its buckets, a calendar window those of its period, and what is in flight counts while its lease lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BUCKETS = 60
Kind = Literal["sliding", "calendar", "concurrent"]


@dataclass(frozen=True)
class Meter:
    """`size` is the width of a bucket, or the length of a period; both begin at 0. `share`: percent, and of how
    many periods before."""

    name: str
    kind: Kind
    ceiling: int
    size: int = 1
    share: tuple[int, int] = (0, 1)

    @property
    def period(self) -> int:
        return self.size * BUCKETS if self.kind == "sliding" else self.size


@dataclass
class Entry:
    meter: Meter
    at: int
    amount: int
    lease: str


@dataclass
class Lease:
    ends: int
    open: bool = True
    spent: dict[Meter, int] = field(default_factory=dict)
    said: dict[Meter, int] | None = None
    counted: dict[Meter, int] = field(default_factory=dict)


@dataclass
class Ledger:
    entries: list[Entry] = field(default_factory=list)
    leases: dict[str, Lease] = field(default_factory=dict)
    raises: list[tuple[Meter, int, int]] = field(default_factory=list)
    resets: dict[Meter, int] = field(default_factory=dict)
    # All that was counted, whatever was reset since.
    history: list[Entry] = field(default_factory=list)

    def ceiling(self, meter: Meter, now: int) -> int:
        (percent, periods), period = meter.share, now // meter.period
        past = [e for e in self.history if e.meter == meter and 1 <= period - e.at // meter.period <= periods]
        ceiling = max(meter.ceiling, sum(entry.amount for entry in past) * percent // (100 * periods))
        return ceiling + sum(more for which, more, until in self.raises if which == meter and now < until)

    def reset(self, meter: Meter, now: int) -> None:
        """Nothing of before counts, and of a sliding window's bucket that was reset nothing is given back."""
        self.entries = [entry for entry in self.entries if entry.meter != meter]
        self.resets[meter] = now

    def used(self, meter: Meter, now: int) -> int:
        return sum(entry.amount for entry in self.entries if entry.meter == meter and self._counts(entry, now))

    def _counts(self, entry: Entry, now: int) -> bool:
        size = entry.meter.size
        match entry.meter.kind:
            case "sliding":
                return now // size - entry.at // size <= BUCKETS
            case "calendar":
                return now // size == entry.at // size
        return self.leases[entry.lease].open and now < self.leases[entry.lease].ends

    def reserve(self, lease: str, asked: list[tuple[Meter, int]], now: int, ends: int) -> list[str]:
        """The names of the meters without room; without any, everything is charged."""
        full = [meter.name for meter, amount in asked if self.used(meter, now) + amount > self.ceiling(meter, now)]
        if not full:
            self.leases[lease] = Lease(ends, counted=dict(asked))
            for kept in (self.entries, self.history):
                kept += [Entry(meter, now, amount, lease) for meter, amount in asked]
        return full

    def retry_at(self, meter: Meter, amount: int, now: int) -> int | None:
        """The first time from which on the amount fits, found by trying every time at which something changes."""
        size = meter.size
        ends = {entry.lease: self.leases[entry.lease].ends for entry in self.entries}
        times = {now}
        for entry in self.entries:
            if entry.meter == meter:
                change = {"sliding": (entry.at // size + BUCKETS + 1) * size, "calendar": (entry.at // size + 1) * size}
                times.add(change.get(meter.kind, ends[entry.lease]))
        times |= {(now // meter.period + later) * meter.period for later in range(4)}
        later = sorted(t for t in times if t >= now)
        return next((t for t in later if self.used(meter, t) + amount <= self.ceiling(meter, t)), None)

    def settle(self, lease: str, actual: dict[Meter, int], now: int, final: bool = True) -> bool:
        if lease not in self.leases or not self.leases[lease].open:
            # Who says the same again is told so.
            return final and lease in self.leases and self.leases[lease].said == actual
        if final:
            self.leases[lease].said = actual
        for meter, spent in actual.items():
            mine, past = (
                [e for e in of if (e.lease, e.meter) == (lease, meter)] for of in (self.entries, self.history)
            )
            counted = self.leases[lease].counted[meter]
            # What was spent on the way is spent.
            spent = self.leases[lease].spent[meter] = max(spent, self.leases[lease].spent.get(meter, 0))
            if spent > counted:
                for kept in (self.entries, self.history):
                    kept.append(Entry(meter, now, spent - counted, lease))
                self.leases[lease].counted[meter] = spent
            elif final:
                # What is too much goes from where it was reserved first.
                past[0].amount -= counted - spent
                if mine and self._given_back(mine[0]):
                    mine[0].amount -= counted - spent
        self.leases[lease].open = not final
        return True

    def cancel(self, lease: str, now: int) -> bool:
        if lease not in self.leases or not self.leases[lease].open or self.leases[lease].ends <= now:
            return False
        if any(self.leases[lease].spent.values()):
            return False
        self.entries = [e for e in self.entries if e.lease != lease or not self._given_back(e)]
        self.history = [e for e in self.history if e.lease != lease]
        self.leases[lease].open = False
        return True

    def _given_back(self, entry: Entry) -> bool:
        reset, size = self.resets.get(entry.meter), entry.meter.size
        return entry.meter.kind != "sliding" or reset is None or entry.at // size > reset // size

    def renew(self, lease: str, now: int, ends: int) -> bool:
        if lease not in self.leases or not self.leases[lease].open or self.leases[lease].ends <= now:
            return False
        self.leases[lease].ends = ends
        # Whatever was reset: it is in flight.
        flights = [meter for meter in self.leases[lease].counted if meter.kind == "concurrent"]
        lost = [meter for meter in flights if not any(e.lease == lease and e.meter == meter for e in self.entries)]
        self.entries += [Entry(meter, now, 1_000_000, lease) for meter in lost]
        return True
