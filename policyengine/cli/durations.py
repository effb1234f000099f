"""Durations on the command line: 30s, 10m, 1h, 7d."""

from __future__ import annotations

from policyengine.cli.console import fail
from policyengine.diagnostics.safe_text import visible

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def duration(text: str, option: str, least: int = 1) -> float:
    """The seconds of a text such as 10m."""
    number, unit = text[:-1], text[-1:]
    digits = number.isascii() and number.isdigit() and len(number) < 7
    if unit not in _UNITS or not digits or int(number) < least:
        fail(f"{option}: not a duration: {visible(text)}", "expected a duration such as 30s, 10m, 1h or 7d")
    return float(int(number) * _UNITS[unit])
