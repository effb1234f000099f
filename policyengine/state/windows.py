"""The windows of time that meters count over.

A sliding window is a ring of buckets, each a sixtieth of it. A bucket counts completely as long as any part of it is in
the window, so the current bucket and the sixty before it count: a ceiling is never passed within any window, and room
returns at most a sixtieth of a window late. A calendar window is between two local midnights, or the like for weeks,
months and years; a midnight that does not exist is the first instant after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, Literal, assert_never
from zoneinfo import ZoneInfo

from policyengine.model import periods, zones

SECOND = 1_000_000
BUCKETS = 60


@dataclass(frozen=True, slots=True)
class Sliding:
    """`width` is that of a bucket, in microseconds."""

    width: int


@dataclass(frozen=True, slots=True)
class Calendar:
    """The periods around now, as (start, end) in microseconds, in order and without gaps. The store picks the one that
    its own clock is in: only the host knows time zones."""

    periods: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Concurrent:
    """Counts what is in flight, until its lease ends."""


Window = Sliding | Calendar | Concurrent


def kind_of(window: Window) -> Literal["sliding", "calendar", "concurrent"]:
    """The name of the window's kind in documents."""
    match window:
        case Sliding():
            return "sliding"
        case Calendar():
            return "calendar"
        case Concurrent():
            return "concurrent"
    assert_never(window)


def held_window(held: Mapping[str, Any]) -> Window:
    """The window of a charge that a lease holds, as far as it is needed to give the charge back."""
    match held["kind"]:
        case "sliding":
            return Sliding(held["width"])
        case "calendar":
            return Calendar(())
    return Concurrent()


def sliding(seconds: float) -> Sliding:
    """A sliding window of this many seconds; a bucket is rounded up to whole microseconds."""
    return Sliding(max(1, -(-round(seconds * SECOND) // BUCKETS)))


# The average length of periods that differ, in seconds, so that the number of periods between two is found by rounding.
MEAN = {"month": 2_629_746, "year": 31_556_952}


def mean_length(per: float | str) -> int:
    """The length of a period, in microseconds; for a sliding window, that of its sixty buckets."""
    if isinstance(per, str):
        return MEAN.get(per, periods.CALENDAR[per]) * SECOND
    return sliding(per).width * BUCKETS


def calendar(period: str, zone: str, around: int) -> Calendar:
    """The period of the time `around`, with its neighbours, so that clocks may differ by up to one period."""
    last = _LAST.get((period, zone))
    if last is not None and last.periods[1][0] <= around < last.periods[1][1]:
        return last
    computed = _LAST[period, zone] = _calendar(period, zone, around)
    return computed


# By period and zone, which policies name: the last result holds as long as the period does.
_LAST: dict[tuple[str, str], Calendar] = {}


def _calendar(period: str, zone: str, around: int) -> Calendar:
    tz = zones.zone(zone)
    day = datetime.fromtimestamp(around / SECOND, UTC).astimezone(tz)
    if period in ("minute", "hour"):
        # These are exact lengths of time, even if the clocks change.
        length = (60 if period == "minute" else 3600) * SECOND
        start = around // length * length
        edges = [start - length, start, start + length, start + 2 * length]
    else:
        first = _first_day(day.date(), period)
        days = [_step(first, period, -1), first, _step(first, period, 1), _step(first, period, 2)]
        edges = [_midnight(one, tz) for one in days]
    return Calendar(tuple(pairwise(edges)))


def _first_day(day: date, period: str) -> date:
    match period:
        case "week":
            return day - timedelta(days=day.weekday())
        case "month":
            return day.replace(day=1)
        case "year":
            return day.replace(month=1, day=1)
    return day


def _step(first: date, period: str, by: int) -> date:
    match period:
        case "week":
            return first + timedelta(weeks=by)
        case "month":
            months = first.year * 12 + first.month - 1 + by
            return date(months // 12, months % 12 + 1, 1)
        case "year":
            return first.replace(year=first.year + by)
    return first + timedelta(days=by)


def _midnight(day: date, tz: ZoneInfo) -> int:
    """The first instant of a local day."""
    local = datetime(day.year, day.month, day.day, tzinfo=tz)
    instant = local.astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) != local.replace(tzinfo=None):
        # A midnight within a gap: fold=1 takes the offset after the gap, which names an instant before it. The instant
        # at which the clocks change is found from both.
        before, after = instant, local.replace(fold=1).astimezone(UTC)
        low, high = min(before, after), max(before, after)
        while high - low > timedelta(microseconds=1):
            middle = low + (high - low) / 2
            if middle.astimezone(tz).date() < day:
                low = middle
            else:
                high = middle
        instant = high
    return round(instant.timestamp() * SECOND)
