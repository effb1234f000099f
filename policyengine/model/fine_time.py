"""Times and durations with fractions of a microsecond, which Python's own types do not have.

RFC 3339 allows any number of digits, and Go, Java and Rust write nine. A value with a fraction of a microsecond is a
FineTime or FineLength, compares with the plain types by exact value, and is equal to none of them. `since`, `time` and
`length` count whole nanoseconds; nothing here cuts or rounds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Fine:
    """Order and equality by exact value. `nanos` are 1 to 999."""

    __slots__ = ()
    nanos: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fine) and type(self) is type(other) and nanoseconds(self) == nanoseconds(other)

    def __hash__(self) -> int:
        return hash((type(self), nanoseconds(self)))

    def __lt__(self, other: Any) -> bool:
        return nanoseconds(self) < nanoseconds(other)

    def __le__(self, other: Any) -> bool:
        return nanoseconds(self) <= nanoseconds(other)

    def __gt__(self, other: Any) -> bool:
        return nanoseconds(self) > nanoseconds(other)

    def __ge__(self, other: Any) -> bool:
        return nanoseconds(self) >= nanoseconds(other)


class FineTime(_Fine, datetime):
    """A point in time in UTC. As a datetime it is the start of its microsecond."""

    __slots__ = ("nanos",)

    def isoformat(self, sep: str = "T", timespec: str = "auto") -> str:
        text = self.replace(tzinfo=None).isoformat(sep, "microseconds")
        return f"{text}{self.nanos:03d}".rstrip("0") + "+00:00"

    def replace(self, *args: Any, **changed: Any) -> datetime:  # type: ignore[override]
        return coarse(self).replace(*args, **changed)


class FineLength(_Fine, timedelta):
    """A duration. As a timedelta it is the next smaller number of microseconds."""

    __slots__ = ("nanos",)


def coarse(value: datetime) -> datetime:
    """The start of the microsecond that a time is in."""
    return datetime(
        value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond, value.tzinfo
    )  # fmt: skip


def nanoseconds(value: Any) -> int:
    """The nanoseconds of a duration; of a time, those since 1970."""
    if isinstance(value, datetime):
        whole = timedelta.__floordiv__(datetime.__sub__(value, _EPOCH), _MICROSECOND)
    else:
        whole = timedelta.__floordiv__(value, _MICROSECOND)
    return int(whole) * 1000 + (value.nanos if isinstance(value, _Fine) else 0)


def time(nanos: int) -> datetime:
    """The time this many nanoseconds after 1970. Raises OverflowError outside of the years 1 to 9999."""
    micros, rest = divmod(nanos, 1000)
    plain = _EPOCH + timedelta(microseconds=micros)
    return fine_time(plain, rest) if rest else plain


def fine_time(plain: datetime, nanos: int) -> datetime:
    """A time in UTC, this many nanoseconds later, fewer than a thousand."""
    if not nanos:
        return plain
    made = FineTime(
        plain.year, plain.month, plain.day, plain.hour, plain.minute, plain.second, plain.microsecond, UTC
    )  # fmt: skip
    made.nanos = nanos
    return made


def length(nanos: int) -> timedelta:
    """A duration of this many nanoseconds. Raises OverflowError if no timedelta can hold it."""
    micros, rest = divmod(nanos, 1000)
    plain = timedelta(microseconds=micros)
    if not rest:
        return plain
    made = FineLength(plain.days, plain.seconds, plain.microseconds)
    made.nanos = rest
    return made


def is_fine(value: Any) -> bool:
    return isinstance(value, _Fine)


def arithmetic(op: str, left: Any, right: Any) -> Any:
    """Sum, difference or product of times, durations and whole numbers, at least one of them fine."""
    if op == "*":
        count, many = (left, right) if isinstance(left, int) else (right, left)
        return length(count * nanoseconds(many))
    one, other = nanoseconds(left), nanoseconds(right)
    times = isinstance(left, datetime) + isinstance(right, datetime)
    result = one + other if op == "+" else one - other
    return time(result) if times == 1 else length(result)
