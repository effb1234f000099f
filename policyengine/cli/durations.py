"""Durations as people write them on the command line: 30s, 10m, 1h, 7d."""

from __future__ import annotations

from policyengine.cli.console import fail

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str, option: str) -> float:
    """Seconds, of a text such as 10m."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or not 0 < len(number) < 7 or not int(number):
        fail(f"{option}: expected a duration such as 30s, 10m, 1h or 7d")
    return float(int(number) * _UNITS[unit])
