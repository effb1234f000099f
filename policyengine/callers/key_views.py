"""API keys in the form that people and programs see: without their hashes, with times as RFC 3339."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from policyengine.callers import api_key
from policyengine.callers.keys import Key, KeyUse, admits, matching
from policyengine.callers.stores.store import Keys

State = Literal["good", "expired", "revoked"]
Verdict = Literal["good", "expired", "revoked", "unknown", "not a key", "not from this address"]


def state(key: Key, now: float) -> State:
    if key.revoked is not None:
        return "revoked"
    return "good" if key.is_live(now) else "expired"


def public(key: Key, now: float) -> dict[str, Any]:
    """A key without its hashes."""
    return {
        "id": key.id,
        "name": key.name,
        "state": state(key, now),
        "scopes": sorted(key.scopes),
        "tenant": key.tenant,
        "addresses": [str(each) for each in key.addresses],
        "created": date(key.created),
        "expires": None if key.expires is None else date(key.expires),
        "secrets": len(key.secrets),
    }


def usage(use: KeyUse | None) -> dict[str, Any]:
    if use is None:
        return {"count": 0, "last": None, "address": None}
    return {"count": use.count, "last": date(use.last), "address": use.address or None}


def date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def judged(text: str, known: Keys, hash_key: bytes, now: float, address: str | None) -> tuple[Verdict, Key | None]:
    """What a text is, and the key that it is of. Without an address, from where does not matter."""
    shown = api_key.parse(text)
    if shown is None:
        return "not a key", None
    key = known.get(shown.id)
    if key is None or not matching(key, api_key.digest(shown, hash_key), now):
        return "unknown", None
    verdict = state(key, now)
    if verdict == "good" and address is not None and not admits(key, address):
        return "not from this address", key
    return verdict, key
