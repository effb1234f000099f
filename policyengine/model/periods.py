"""The periods over which limits count: calendar periods by name, any other as a number of seconds."""

from __future__ import annotations

# The length of each in seconds, as policies write it: `90d` are three months.
CALENDAR = {"minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800, "month": 2_592_000, "year": 31_536_000}


def length(per: float | str) -> float:
    """The length of a period, in seconds."""
    return CALENDAR[per] if isinstance(per, str) else per
