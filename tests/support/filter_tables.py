"""The typed documents of the corpus as columns, for stores of tables."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from policyengine.filters import Field, column, ref
from policyengine.model.values import parse_duration, parse_time
from tests.support.filter_corpus import TYPED, documents

DOCUMENTS = documents(TYPED)
_SAME = ("id", "s", "n", "x", "flag", "tags", "names", "nums", "so", "no", "fo", "to", "rec")
_ENTITIES = {
    "owner": "User",
    "readers": "User",
    "allowed": "Group",
    "folder": "Folder",
    "oo": "User",
    "parents": "Folder",
}


def mapping(null: Any = "absent") -> dict[str, str | Field]:
    """Where the columns of `row` have the attributes."""
    return {
        **{name: column(name, null=null) for name in (*_SAME, "at", "wait")},
        **{name: ref(name, type_, null=null) for name, type_ in _ENTITIES.items()},
    }


def row(document: dict[str, Any]) -> dict[str, Any]:
    """A document as a row: references as their ids, times and durations as such, null for what is absent."""
    made = {name: document.get(name) for name in _SAME}
    for name in _ENTITIES:
        found = document.get(name)
        made[name] = [each["id"] for each in found] if isinstance(found, list) else found and found["id"]
    at, wait = document.get("at"), document.get("wait")
    times: dict[str, datetime | timedelta | None] = {"at": at and parse_time(at), "wait": wait and parse_duration(wait)}
    x = document.get("x")
    return {**made, **times, "x": x if x is None else float(x)}


# Attributes that are references, and the type of what they refer to.
REFERENCES = dict(_ENTITIES)


def flat_references(document: dict[str, Any]) -> dict[str, Any]:
    """A document with ids in the place of references, for stores of payloads and metadata."""
    return {
        name: ([each["id"] for each in v] if isinstance(v, list) else v["id"]) if name in REFERENCES else v
        for name, v in document.items()
    }
