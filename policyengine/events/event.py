"""What an event is: its kind, whose it is, and what it says in names and counts.

Fields hold names (of rules, entities, tasks), counts and times. They hold no attribute of a request, no argument of a
tool and no secret: an event leaves the house.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from types import MappingProxyType

Field = str | int | float | bool | None | tuple[str, ...]

_KIND = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
# A longer text is cut: a name that somebody else chose fills no log and no queue.
LONGEST = 512


def _id() -> str:
    return f"evt_{token_hex(12)}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is dotted words, the part first: `limit.alert`. `tenant` is empty where it concerns none. `id` is the same
    however often it is sent; `time` is RFC 3339, in UTC. Raises ValueError for another kind, and for a field that is
    none."""

    kind: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    tenant: str = ""
    id: str = field(default_factory=_id)
    time: str = field(default_factory=_now)

    def __post_init__(self) -> None:
        if not _KIND.fullmatch(self.kind):
            raise ValueError("the kind of an event is dotted words, such as `limit.alert`")
        kept = {name: _kept(value) for name, value in self.fields.items()}
        object.__setattr__(self, "fields", MappingProxyType(kept))
        object.__setattr__(self, "tenant", _cut(self.tenant))


def _kept(value: Field) -> Field:
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return tuple(map(_cut, value[:100]))
    if value is None or isinstance(value, int | float):
        return value
    raise ValueError("a field of an event is a text, a number, a truth value or names")


def _cut(text: str) -> str:
    # A lone surrogate could not be sent.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
