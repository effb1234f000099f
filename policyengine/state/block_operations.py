"""The operations of a store on the list of blocks, and their results.

The list is one document, so that a node reads one version of it. Each entry has the time at which it was set or lifted,
by the store's clock, and no two times are equal: of two entries with one name the later one counts, whatever was read
before. So an older list takes nothing back, and neither does a lost one.

    {"version": number, "entries": {name: {"kind", "type", "id", "blocked", "until", "why", "by", "at"}},
     "beat": time, "since": time, "lost": time}

`beat` is the store's time, written once a minute: if a node knows a later one than it reads, that proves that the store
was emptied or restored. Then everything that began before `since` is void: sessions, which may have seen more than they
know, and approvals, which may have been used. A list that is written for the first time begins this way: if a node
knows an earlier `since`, that is proof, too, even if another node has written the time before it could look. `lost` is
the time of the last such proof, and 0 for a new list.

In a store of several shards each shard has such a time of its own, without entries: `beat_key`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

Document = Mapping[str, Any]
KEY = "blocks"
# The most blocks at one time.
MOST = 10_000
# How long a lifted block is remembered, in microseconds: a node that was away for longer goes on denying.
LIFTED = 30 * 86_400 * 1_000_000
# The interval between beats, in microseconds.
BEAT = 60 * 1_000_000
# A hundred years, in microseconds from now.
FOREVER = 36_500 * 86_400 * 1_000_000


class Impose(Struct, frozen=True, gc=False):
    """Sets a block for `length` microseconds, 0 for ever; or lifts it, with `blocked` False. `name` is whom it
    stops."""

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
    """Reads the list; without its entries if it still has this version."""

    version: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        return (KEY,)


class Beat(Struct, frozen=True, gc=False):
    """Writes the current time. `known` is the latest that the node has read; with `void` everything that began before
    now is void. `place` is a shard's; without one it is the time of the list."""

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
    """The key of a shard's time."""
    return f"beat:{place}"


def beaten(asked: Beat, document: Document | None, now: int) -> Document:
    """The list with the new time."""
    before: Document = document if document is not None else {"version": 0, "entries": {}}
    beat, since = int(before.get("beat", 0)), int(before.get("since", now))
    made = {**before, "beat": max(now, beat), "since": since}
    if asked.void or asked.known > beat:
        made["since"] = made["lost"] = max(now, since, asked.known)
    return made


def imposed(impose: Impose, document: Document | None, now: int) -> Document | None:
    """The list with one more entry; None if it is full."""
    before: Document = document if document is not None else {"version": 0, "entries": {}}
    version = max(now, int(before["version"]) + 1)
    entry = {
        "kind": impose.kind,
        "type": impose.type,
        "id": impose.id,
        "blocked": impose.blocked,
        "until": now + impose.length if impose.blocked and impose.length else 0,
        "why": impose.why,
        "by": impose.by,
        "at": version,
    }
    entries = {**{name: one for name, one in before["entries"].items() if _matters(one, now)}, impose.name: entry}
    if len(entries) > MOST:
        return None
    return {**before, "version": version, "entries": entries}


def read(reading: ReadBlocks, document: Document | None) -> Document | None:
    if document is None or document["version"] != reading.version:
        return document
    return {**document, "entries": {}}


def _matters(entry: Mapping[str, Any], now: int) -> bool:
    if not entry["blocked"]:
        return bool(entry["at"] + LIFTED > now)
    return not entry["until"] or bool(entry["until"] > now)
