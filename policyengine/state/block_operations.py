"""What a store can be asked to do with the list of blocks, and what becomes of it.

The list is one document, so that a node reads one version of it. Each entry has the time at which it was set or
lifted, by the store's clock, and no two have the same: of two entries about one name the later one counts, whoever has
read what before. An older list therefore takes back nothing, and a lost one neither.

    {"version": number, "entries": {name: {"kind", "type", "id", "blocked", "until", "why", "by", "at"}},
     "beat": time, "since": time, "lost": time}

`beat` is the store's time, written again once a minute: a node that knows a later one than it reads has the proof that
the store was emptied, or restored. What began before `since` is void then: sessions, which may have seen more than they
know, and approvals, which may have been used. A list that is written for the first time begins so: a node that knows an
earlier `since` has the proof, too, where another one has written the time before it could look. `lost` is when there
last was such a proof, and nothing for a list that is new.

In a store of several shards each has such a time of its own, and no entries: `beat_key`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

Document = Mapping[str, Any]
KEY = "blocks"
# So many names are blocked at once.
MOST = 10_000
# A lifted block is remembered for so long, in microseconds: a node that was away for longer goes on denying.
LIFTED = 30 * 86_400 * 1_000_000
# So often the time is written, in microseconds.
BEAT = 60 * 1_000_000
# In microseconds from now: a hundred years.
FOREVER = 36_500 * 86_400 * 1_000_000


class Impose(Struct, frozen=True, gc=False):
    """Set a block for `length` microseconds, 0 for ever; or lift it, with `blocked` False. `name` is whom it stops."""

    name: str
    kind: str
    type: str
    id: str
    blocked: bool = True
    length: int = 0
    why: str = ""
    by: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return (KEY,)


class ReadBlocks(Struct, frozen=True, gc=False):
    """The list; without its entries where it still is of this version."""

    version: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        return (KEY,)


class Beat(Struct, frozen=True, gc=False):
    """Write what time it is. `known` is the latest that the node has read; with `void` all is void that began before
    now. `place` is that of a shard; without one it is the time of the list."""

    known: int = 0
    void: bool = False
    place: str = ""

    @property
    def key(self) -> str:
        return beat_key(self.place) if self.place else KEY

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,)


def beat_key(place: str) -> str:
    """Where a shard keeps its time."""
    return f"beat:{place}"


def beaten(asked: Beat, document: Document | None, now: int) -> Document:
    """The list with the time."""
    before: Document = document if document is not None else {"version": 0, "entries": {}}
    beat, since = int(before.get("beat", 0)), int(before.get("since", now))
    made = {**before, "beat": max(now, beat), "since": since}
    if asked.void or asked.known > beat:
        made["since"] = made["lost"] = max(now, since, asked.known)
    return made


def imposed(asked: Impose, document: Document | None, now: int) -> Document | None:
    """The list with one entry more; None where it is full."""
    before: Document = document if document is not None else {"version": 0, "entries": {}}
    version = max(now, int(before["version"]) + 1)
    entry = {
        "kind": asked.kind,
        "type": asked.type,
        "id": asked.id,
        "blocked": asked.blocked,
        "until": now + asked.length if asked.blocked and asked.length else 0,
        "why": asked.why,
        "by": asked.by,
        "at": version,
    }
    entries = {**{name: one for name, one in before["entries"].items() if _matters(one, now)}, asked.name: entry}
    if len(entries) > MOST:
        return None
    return {**before, "version": version, "entries": entries}


def told(asked: ReadBlocks, document: Document | None) -> Document | None:
    if document is None or document["version"] != asked.version:
        return document
    return {**document, "entries": {}}


def _matters(entry: Mapping[str, Any], now: int) -> bool:
    if not entry["blocked"]:
        return bool(entry["at"] + LIFTED > now)
    return not entry["until"] or bool(entry["until"] > now)
