"""Days and times of day in the spellings that people use, each in one form.

In: a text in its normal form (`normal_form.form`). Out: a day as `2026-03-05`, a day without a year as `--03-05`, a
time of day as `15:30`. A day without a year stands for that day of every year. If several days share one month or year
(`May 5th to May 8th 2026`, `5 to 8 May`), each of them has it.
"""

from __future__ import annotations

import re
from datetime import date

_MONTHS = {
    name[:length]: number
    for number, name in enumerate(
        ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
         "december"), 1)
    for length in (3, len(name))
}  # fmt: skip
_MONTH = rf"(?P<m>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\b\.?"
# A text that names a day in words has one of these among its words.
MONTHS = frozenset(_MONTHS)
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_TO = r" ?(?:-|\u2013|to|and|until|till|through|or)(?: the)? ?"
_ISO = re.compile(r"\b(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})(?!\d)")
_LONG = (
    re.compile(rf"\b{_DAY}(?: of)? {_MONTH}(?:,? (?P<y>\d{{4}})\b)?"),
    re.compile(rf"\b{_MONTH} {_DAY}\b(?:,? (?P<y>\d{{4}})\b)?"),
)
# A day before another one whose month or year also applies to it.
_BEFORE = re.compile(rf"\b{_DAY}{_TO}\Z")
_BEHIND = re.compile(rf"{_TO}{_DAY}\b(?:,? (?P<y>\d{{4}})\b)?")
_JOINED = re.compile(rf"{_TO}\Z")
_CLOCK = re.compile(r"\b(\d{1,2})(?::([0-5]\d))?(?::[0-5]\d)?(?: ?([ap])\.?m\b)?")


def iso_days(text: str) -> list[str]:
    """Every day that a text names in figures."""
    return [known for day in _ISO.finditer(text) if (known := _day(day["y"], day["m"], day["d"]))]


def long_days(text: str) -> list[str]:
    """Every day that a text names in words."""
    days: list[str] = []
    for pattern in _LONG:
        found_days = list(pattern.finditer(text))
        years = [one["y"] for one in found_days]
        for at in range(len(found_days) - 2, -1, -1):
            if years[at] is None and _JOINED.fullmatch(text, found_days[at].end(), found_days[at + 1].start()):
                years[at] = years[at + 1]
        for one, year in zip(found_days, years, strict=True):
            month = one["m"]
            if (later := _BEHIND.match(text, one.end())) and year is None:
                year = later["y"]
                days.append(_day(year, month, later["d"]))
            if before := _BEFORE.search(text, max(0, one.start() - 16), one.start()):
                days.append(_day(year, month, before["d"]))
            days.append(_day(year, month, one["d"]))
    return [known for known in days if known]


def one_day(text: str) -> str:
    """The day, if the text is exactly one day; otherwise empty."""
    for pattern in (_ISO, *_LONG):
        if one := pattern.fullmatch(text):
            return _day(one["y"], one["m"], one["d"])
    return ""


def any_year(day: str) -> str:
    """A day without its year; empty for a text that is not a day."""
    return f"-{day[4:]}" if len(day) == 10 and _ISO.fullmatch(day) else ""


def times(text: str) -> list[str]:
    """Every time of day that a text names."""
    return [known for clock in _CLOCK.finditer(text) if (known := _time(clock))]


def one_time(text: str) -> str:
    """The time of day, if the text is exactly one; otherwise empty."""
    clock = _CLOCK.fullmatch(text)
    return _time(clock) if clock else ""


def _day(year: str | None, month: str, day: str) -> str:
    number = _MONTHS.get(month) or int(month)
    try:
        # A day without a year may be one of a leap year.
        known = date(int(year) if year else 2000, number, int(day))
    except ValueError:
        return ""
    return known.isoformat() if year else f"-{known.isoformat()[4:]}"


def _time(clock: re.Match[str]) -> str:
    hour, minute, half = clock.groups()
    if half is None:
        return f"{int(hour):02}:{minute}" if minute and int(hour) < 24 else ""
    return f"{int(hour) % 12 + 12 * (half == 'p'):02}:{minute or '00'}" if 1 <= int(hour) <= 12 else ""
