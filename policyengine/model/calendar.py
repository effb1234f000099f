"""What a wall clock in a named zone shows: time of day, weekday and date.

In: a time, and the name of a zone in the time zone database, which the checker has tested. Out: plain values.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from policyengine.diagnostics import codes
from policyengine.model import zones
from policyengine.model.fine_time import coarse, length, nanoseconds
from policyengine.model.values import Fault

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def zone(name: str) -> str:
    """The name itself. Raises Fault for anything but a zone. The name is looked up in a set, so that no policy can
    choose the name of a file to open."""
    if name not in zones.names():
        raise Fault(codes.BAD_CONSTANT.id, "not a time zone such as Europe/Berlin or UTC")
    return name


def time_of_day(time: datetime, zone: str) -> timedelta:
    """The time on the clock since midnight: 9h is nine o'clock, even on days on which clocks change."""
    local = _local(time, zone)
    seconds = (local.hour * 60 + local.minute) * 60 + local.second
    # Zones differ by whole seconds.
    return length(seconds * 10**9 + nanoseconds(time) % 10**9)


def weekday(time: datetime, zone: str) -> str:
    """`mon` to `sun`."""
    return WEEKDAYS[_local(time, zone).weekday()]


def date_of(time: datetime, zone: str) -> str:
    """The date as ISO 8601 writes it: `2026-12-24`."""
    return _local(time, zone).date().isoformat()


def is_date(text: str) -> bool:
    """Whether `date_of` can ever return the text."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _local(time: datetime, zone: str) -> datetime:
    try:
        return coarse(time).astimezone(zones.zone(zone))
    except OverflowError:
        raise Fault(codes.OVERFLOW.id, "a time is out of range") from None
