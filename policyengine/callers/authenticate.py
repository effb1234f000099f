"""From what a request says about its sender to its caller: credentials are checked, and nothing else is believed.

In: the `Authorization` header, the certificate of the connection, the address, and the time. Out: a Caller; None for
bad credentials, whatever is wrong with them; or the issuer whose keys must be read first. No I/O: other code keeps the
keys of the API and of issuers up to date.

A credential that was good a moment ago is recognised by its keyed hash, so that presenting it again costs little. It is
forgotten as soon as anything that made it good has changed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

from policyengine.bounded_cache import BoundedCache
from policyengine.callers import api_key, claims, token
from policyengine.callers.caller import Caller
from policyengine.callers.certificate import identities
from policyengine.callers.claims import ClaimsMapping
from policyengine.callers.expected_token import ExpectedToken
from policyengine.callers.key_set import KeySet
from policyengine.callers.keyring import Keyring
from policyengine.callers.keys import Key

# Good credentials that are remembered, and for how many seconds at most.
_REMEMBERED = 10_000
_MOST_SECONDS = 60.0
_SCHEME = b"bearer "
_FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Trusted:
    """An issuer: what its tokens must be, what their claims mean, and its keys."""

    expected: ExpectedToken
    mapping: ClaimsMapping
    keys: KeySet


@dataclass(frozen=True, slots=True)
class NeedsKeys:
    """The keys of this issuer have to be read before a token can be judged."""

    issuer: str


@dataclass(frozen=True, slots=True)
class GoodCredential:
    """A credential that was good: until when, provided that `basis` has not changed. `key` is the API key, if it is
    one."""

    caller: Caller
    until: float
    basis: object
    key: Key | None
    issuer: str


class Authenticator:
    """The credentials that one service accepts. `clock` gives the seconds since 1970."""

    def __init__(
        self,
        clock: Callable[[], float],
        keyring: Keyring | None = None,
        issuers: Mapping[str, Trusted] | None = None,
        certificates: Mapping[str, Caller] | None = None,
    ) -> None:
        self.clock = clock
        self.keyring = keyring
        self.issuers = dict(issuers or {})
        self.certificates = dict(certificates or {})
        self._expected = {name: each.expected for name, each in self.issuers.items()}
        self._good: BoundedCache[bytes, GoodCredential] = BoundedCache(_REMEMBERED)
        # With the key put in: a copy of it is had faster than another.
        self._blank = blake2b(digest_size=16, key=secrets.token_bytes(32))

    def remembered(self, header: bytes, address: str | None) -> Caller | None:
        """The caller of a header that was good a moment ago and still is."""
        known = self.good(header)
        return self.caller_of(known, address) if known is not None else None

    def good(self, header: bytes) -> GoodCredential | None:
        """The remembered result for a header that was good a moment ago."""
        found: GoodCredential | None = self._good.get(self.named(header))
        return found

    def caller_of(self, known: GoodCredential, address: str | None) -> Caller | None:
        """The caller of a remembered credential, if it is still good. Nearly every request takes this path."""
        now = self.clock()
        if now >= known.until:
            return None
        key = known.key
        if key is None:
            return known.caller if self.issuers[known.issuer].keys.generation == known.basis else None
        ring = self.keyring
        return known.caller if ring is not None and ring.uses(key, known.basis, address, now) else None

    def recognizing(self, known: GoodCredential, address: str | None) -> Callable[[], Caller | None]:
        """As `caller_of`, for a connection that shows the same time after time."""
        key, ring = known.key, self.keyring
        if key is None or ring is None:
            return partial(self.caller_of, known, address)
        return ring.recognizing(known.caller, key, known.basis, known.until, address)

    def bearer(self, header: bytes, address: str | None) -> Caller | NeedsKeys | None:
        """The caller of an `Authorization` header. Raises keyring.Unknowable."""
        now = self.clock()
        name = self.named(header)
        self._good.pop(name, None)
        if header[: len(_SCHEME)].lower() != _SCHEME:
            return None
        try:
            text = header[len(_SCHEME) :].decode("ascii").strip(" ")
        except UnicodeDecodeError:
            return None
        if text.startswith(api_key.PREFIX):
            return self._key(name, text, address, now)
        return self._token(name, text, now)

    def certificate(self, certificate: bytes) -> Caller | None:
        """The caller of a verified certificate: one of those that are declared. One with the names of several is
        nobody's."""
        names = identities(certificate, self.clock())
        callers = [caller for identity, caller in self.certificates.items() if identity in names]
        return callers[0] if len(callers) == 1 else None

    def named(self, header: bytes) -> bytes:
        """What a header is remembered by: a keyed hash."""
        digest = self._blank.copy()
        digest.update(header)
        return digest.digest()

    def _key(self, name: bytes, text: str, address: str | None, now: float) -> Caller | None:
        if self.keyring is None:
            return None
        good = self.keyring.check(text, address)
        if good is None:
            return None
        caller = good.key.caller
        self._good[name] = GoodCredential(caller, good.until or _FOREVER, good.known, good.key, "")
        self.keyring.used(good.key.id, address, now)
        return caller

    def _token(self, name: bytes, text: str, now: float) -> Caller | NeedsKeys | None:
        token_read = token.read(text)
        if token_read is None or not isinstance(token_read.issuer, str) or token_read.issuer not in self.issuers:
            return None
        trusted = self.issuers[token_read.issuer]
        if not token.looks_right(token_read, trusted.expected, now):
            return None
        generation = trusted.keys.generation
        key = trusted.keys.find(token_read.kid)
        if key is None:
            return NeedsKeys(token_read.issuer) if trusted.keys.wants_reading(unknown=True) else None
        if not token.verified(token_read, key):
            return None
        caller = claims.caller(token_read.claims, trusted.mapping)
        if caller is None:
            return None
        until = min(token.good_until(token_read, trusted.expected), now + min(_MOST_SECONDS, trusted.keys.usable_for))
        self._good[name] = GoodCredential(caller, until, generation, None, token_read.issuer)
        return caller


def key_id(header: bytes | None) -> str | None:
    """The public id of the key in a header, good or not, for counting and for log lines."""
    if header is None or header[: len(_SCHEME)].lower() != _SCHEME:
        return None
    shown = api_key.parse(header[len(_SCHEME) :].decode("latin-1").strip(" "))
    return shown.id if shown is not None else None
