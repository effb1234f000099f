"""Usage of limits, for people: from the documents of meters to rows, and rows summed by a common attribute.

Pure. Usage is what counts now, by the day on which it was counted, as far back as the limit's window reaches. A meter's
document describes itself, so that nobody needs the policies to read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, get_args

from policyengine.state import amounts, meters
from policyengine.state.operations import Document
from policyengine.state.windows import BUCKETS, SECOND, Calendar, Concurrent, Sliding, Window

By = Literal["rule", "key", "tenant", "model", "day"]
BY: tuple[By, ...] = get_args(By)
_TENANTS = ("context.tenant", "principal.tenant")
_HALF_DAY = 43_200 * SECOND


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of one meter. `key` is what its limit counts by, in the order of the policy: `principal=User::"ann"`;
    `tenant` and `model` are taken from it, and empty if it has none. `days` is what was counted on each day, in UTC.
    `ceiling` includes current raises. Times are seconds since 1970; `blocked_until` is 0 for never."""

    rule: str
    key: tuple[str, ...]
    used: float
    ceiling: float
    resets_at: float
    tenant: str = ""
    model: str = ""
    days: tuple[tuple[str, float], ...] = ()
    raised: float = 0.0
    blocked_until: float = 0.0
    meter: str = ""


@dataclass(frozen=True, slots=True)
class Sum:
    """The usage of all meters with a common attribute; the other attributes are empty."""

    rule: str
    used: float
    key: tuple[str, ...] = ()
    tenant: str = ""
    model: str = ""
    day: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """An operator's change to a meter: `what` is `reset`, `credit` or `raise`. `until` is 0 for a reset."""

    what: str
    rule: str
    key: tuple[str, ...]
    amount: float
    until: float
    why: str
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class UsageFilter:
    """Which usage to return: every attribute that is not None must match. `day` is `2026-03-01`."""

    rule: str | None = None
    key: Sequence[str] | None = None
    tenant: str | None = None
    model: str | None = None
    day: str | None = None

    def __post_init__(self) -> None:
        if self.day is not None and not _is_day(self.day):
            raise ValueError("a day must be written as in 2026-03-01")

    def has(self, found: Usage) -> bool:
        return (
            self.rule in (None, found.rule)
            and (self.key is None or tuple(self.key) == found.key)
            and self.tenant in (None, found.tenant)
            and self.model in (None, found.model)
            and (self.day is None or any(day == self.day for day, _ in found.days))
        )


def usage_of(meter: str, document: Document, now: int) -> Usage | None:
    """The usage in the document of a meter, as of now; None if there is none."""
    window = window_of(document)
    if window is None or "rule" not in document:
        return None
    at = meters.time_of(document, now)
    used, extra = meters.used(document, window, at), meters.raised_by(document, at)
    blocked = int(document.get("blocked", 0))
    if not used and not extra and blocked <= at:
        return None
    keys = [_part(part) for part in document["by"]]
    return Usage(
        rule=document["rule"],
        key=tuple(_shown(label, value) for label, value in keys),
        used=amounts.number(used),
        ceiling=amounts.number(meters.ceiling_at(document, window, document.get("ceiling", 0), at)),
        resets_at=meters.empty_at(document, window, at) / SECOND,
        tenant=next((_id(value) for label, value in keys if label in _TENANTS), ""),
        model=next((_id(value) for _, value in keys if _type(value) == "Model"), ""),
        days=tuple(sorted(_days(document, window, at).items())),
        raised=amounts.number(extra),
        blocked_until=blocked / SECOND if blocked > at else 0.0,
        meter=meter,
    )


def shown_key(by: Iterable[str]) -> tuple[str, ...]:
    """The key of a meter, in readable form."""
    return tuple(_shown(*_part(part)) for part in by)


def change_of(document: Document) -> Change:
    return Change(
        document["what"],
        document["rule"],
        shown_key(document["by"]),
        amounts.number(document["amount"]),
        document["until"] / SECOND,
        document["why"],
        document["who"],
        document["at"] / SECOND,
    )


def change_tenant(document: Document) -> str:
    return next((_id(value) for label, value in map(_part, document["by"]) if label in _TENANTS), "")


def window_of(document: Document) -> Window | None:
    """The window of a meter, as far as its document describes it."""
    if "leases" in document:
        return Concurrent()
    if "width" in document:
        return Sliding(int(document["width"]))
    if "start" in document:
        return Calendar(((int(document["start"]), int(document["end"])),))
    return None


def added_up(usages: Iterable[Usage], by: Sequence[str]) -> list[Sum]:
    """The usage by rule and the named attributes. Raises ValueError for an attribute that usage cannot be summed by."""
    unknown = [name for name in by if name not in BY]
    if unknown:
        raise ValueError(f"usage can be added up by {', '.join(BY)}, not by `{unknown[0]}`")
    sums: dict[tuple[Any, ...], float] = {}
    for usage in usages:
        parts = usage.days if "day" in by else [("", usage.used)]
        for day, used in parts:
            group = (
                usage.rule,
                usage.key if "key" in by else (),
                usage.tenant if "tenant" in by else "",
                usage.model if "model" in by else "",
                day,
            )
            sums[group] = round(sums.get(group, 0.0) + used, 6)
    return [Sum(rule, used, *rest) for (rule, *rest), used in sorted(sums.items())]


def row_json(row: Usage | Sum, by: Sequence[str]) -> dict[str, Any]:
    """A row for people; for a sum, only the attributes that it is summed by."""
    value = asdict(row)
    if isinstance(row, Usage):
        return {**value, "days": dict(row.days)}
    return {name: value[name] for name in ("rule", *BY[1:], "used") if name in ("rule", "used") or name in by}


def _days(document: Document, window: Window, now: int) -> dict[str, float]:
    days: dict[str, float] = {}
    for at, amount in _counted(document, window, now):
        day = datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%d")
        days[day] = round(days.get(day, 0.0) + amounts.number(amount), 6)
    return days


def _counted(document: Document, window: Window, now: int) -> Iterator[tuple[int, int]]:
    """When, and how much: the buckets of a ring, or the first day of a period."""
    match window:
        case Sliding(width):
            oldest = now // width - BUCKETS
            yield from ((index * width, amount) for index, amount in document.get("buckets", ()) if index >= oldest)
        case Calendar(((start, end),)):
            # Well within the first day, in any time zone.
            if start <= now < end and document.get("used", 0):
                yield start + min((end - start) // 2, _HALF_DAY), document["used"]
        case _:
            if used := meters.used(document, window, now):
                yield now, used


def _part(text: str) -> tuple[str, Any]:
    label, _, value = text.partition("=")
    return label, json.loads(value)


def _shown(label: str, value: Any) -> str:
    if _type(value):
        return f"{label}={value['type']}::{json.dumps(value['id'], ensure_ascii=False)}"
    return f"{label}={json.dumps(value, ensure_ascii=False)}"


def _type(value: Any) -> str:
    return str(value["type"]) if isinstance(value, dict) and {"type", "id"} <= value.keys() else ""


def _id(value: Any) -> str:
    return str(value["id"]) if _type(value) else str(value)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
