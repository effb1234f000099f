"""What is known of an API key, and what may be done with it: pure functions over frozen values.

Nothing here reads a clock or a store; `now` is in seconds since 1970, UTC. A key with a senseless value cannot be made:
`Key` raises ValueError.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import isfinite
from typing import Any, cast

from policyengine.callers import api_key
from policyengine.callers.api_key import ApiKey
from policyengine.callers.caller import SCOPES, Caller, Scope

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Secret:
    """The keyed hash of a key's text. It is valid until `until`."""

    digest: str
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key. `secrets` has the newest first; the others are good until their rotation's overlap ends.

    `addresses` are networks; empty for any address. `tenant` is the only one it may ask about, None for any.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    secrets: tuple[Secret, ...]
    created: float
    tenant: str | None = None
    addresses: tuple[Network, ...] = ()
    expires: float | None = None
    revoked: float | None = None

    def __post_init__(self) -> None:
        if not self.id or not self.secrets:
            raise ValueError("a key needs an id and a secret")
        if not self.scopes or not self.scopes <= set(SCOPES):
            raise ValueError(f"a key needs one or more of the scopes {', '.join(SCOPES)}")
        if self.tenant is not None and not self.tenant:
            raise ValueError("the name of a tenant must not be empty")
        times = [self.created, self.expires, self.revoked, *(secret.until for secret in self.secrets)]
        if not all(time is None or isfinite(time) for time in times):
            raise ValueError("a time must be a finite number of seconds")

    def is_live(self, now: float) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)

    @property
    def caller(self) -> Caller:
        return Caller(self.id, "key", self.scopes, self.tenant)


@dataclass(frozen=True, slots=True)
class KeyUse:
    """How often a key was used, and when and from where last."""

    count: int
    last: float
    address: str

    def __add__(self, later: KeyUse) -> KeyUse:
        newest = max(later, self, key=lambda use: use.last)
        return KeyUse(self.count + later.count, newest.last, newest.address)


def create(
    name: str,
    scopes: frozenset[Scope],
    hash_key: bytes,
    now: float,
    *,
    tenant: str | None = None,
    addresses: tuple[Network, ...] = (),
    expires: float | None = None,
) -> tuple[Key, ApiKey]:
    """A new key, and its text, which is shown once and kept nowhere. Raises ValueError."""
    shown = api_key.new()
    secret = Secret(api_key.digest(shown, hash_key))
    return Key(shown.id, name, scopes, (secret,), now, tenant, addresses, expires), shown


def rotate(key: Key, hash_key: bytes, now: float, overlap: float) -> tuple[Key, ApiKey]:
    """The key with a new secret; the one before is good for `overlap` seconds more, and those before it no longer than
    they were. Raises ValueError for a key that is revoked or has expired: a new secret must not bring it back."""
    if not key.is_live(now):
        raise ValueError("the key is revoked or has expired")
    shown = api_key.new(key.id)
    end = now + overlap
    old = [
        Secret(each.digest, end if each.until is None else min(each.until, end))
        for each in key.secrets
        if each.until is None or each.until > now
    ]
    kept = [each for each in old if each.until is not None and each.until > now]
    return replace(key, secrets=(Secret(api_key.digest(shown, hash_key)), *kept)), shown


def revoke(key: Key, now: float) -> Key:
    """The revoked key. A key that is revoked already stays as it is."""
    return key if key.revoked is not None else replace(key, revoked=now)


def matching(key: Key, digest: str, now: float) -> bool:
    """Whether a text with this digest is the key's. Compares with every secret, in constant time."""
    matches = False
    for secret in key.secrets:
        same = hmac.compare_digest(secret.digest, digest)
        matches |= same and (secret.until is None or now < secret.until)
    return matches


def good_until(key: Key, digest: str) -> float | None:
    """When the text with this digest stops being good, by expiry or the end of an overlap; None for never."""
    ends = [secret.until for secret in key.secrets if secret.digest == digest]
    times = [time for time in (*ends, key.expires) if time is not None]
    return min(times, default=None)


def admits(key: Key, address: str | None) -> bool:
    """Whether the key may be used from an address. A key with addresses may not be used from one that is unknown."""
    if not key.addresses:
        return True
    normal = normal_address(address)
    return normal is not None and any(normal in network for network in key.addresses)


def normal_address(address: str | None) -> Address | None:
    """An address as one value however it is written: an IPv4 address in IPv6's clothes is the IPv4 address."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return mapped or parsed


# ---- as JSON ----


def as_json(key: Key) -> dict[str, Any]:
    """What a store keeps of a key."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "tenant": key.tenant,
        "addresses": [str(network) for network in key.addresses],
        "created": key.created,
        "expires": key.expires,
        "revoked": key.revoked,
        "secrets": [{"digest": secret.digest, "until": secret.until} for secret in key.secrets],
    }


def from_json(value: Any) -> Key:
    """The key that a store has kept. Raises ValueError for anything that `as_json` does not make."""
    if not isinstance(value, Mapping) or set(value) != _MEMBERS:
        raise ValueError("not the members of a key")
    texts = (value["id"], value["name"])
    times = (value["created"], value["expires"], value["revoked"])
    if not all(isinstance(text, str) for text in texts) or not isinstance(value["tenant"], str | None):
        raise ValueError("a name is a text")
    if not all(_is_time(time) for time in times) or value["created"] is None:
        raise ValueError("a time is a number of seconds")
    secrets = tuple(_secret(each) for each in _items(value["secrets"]))
    scopes = frozenset(cast("list[Scope]", _items(value["scopes"])))
    addresses = tuple(ip_network(str(each)) for each in _items(value["addresses"]))
    return Key(texts[0], texts[1], scopes, secrets, times[0], value["tenant"], addresses, times[1], times[2])


_MEMBERS = {"id", "name", "scopes", "tenant", "addresses", "created", "expires", "revoked", "secrets"}


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(each, str | dict) for each in value):
        raise ValueError("not a list")
    return value


def _secret(value: Any) -> Secret:
    if not isinstance(value, dict) or set(value) != {"digest", "until"} or not isinstance(value["digest"], str):
        raise ValueError("not a secret")
    if not value["digest"].isascii() or not _is_time(value["until"]):
        raise ValueError("not a secret")
    return Secret(value["digest"], value["until"])


def _is_time(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
