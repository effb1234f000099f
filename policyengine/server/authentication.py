"""The step `authenticate`: determines the caller, or refuses in a way that tells an attacker nothing.

In: the settings, and each request before anything else is done with it. Out: a Caller or a Refusal. Every endpoint but
`/healthz` requires credentials. Without credentials in the settings the service does not start, unless it is
`insecure`, and then it serves this machine only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from policyengine.callers.authenticate import Authenticator, NeedsKeys, Trusted, key_id
from policyengine.callers.caller import ANONYMOUS, Caller
from policyengine.callers.certificate import from_header
from policyengine.callers.forwarded import is_proxy, origin
from policyengine.callers.issuers import Document, refresh
from policyengine.callers.key_set import KeySet
from policyengine.callers.keyring import FLUSH, REFRESH, Keyring, Unknowable
from policyengine.callers.keys import KeyUse
from policyengine.callers.local import is_loopback
from policyengine.callers.refusal import Refusal
from policyengine.callers.stores.store import KeyStoreError
from policyengine.callers.throttle import Failures, retry_after
from policyengine.events.event import Event, Field
from policyengine.events.sink import Sink
from policyengine.server.cookie import card
from policyengine.server.errors import log
from policyengine.server.metrics import Tally
from policyengine.server.pipeline import Headers, Incoming, Peer
from policyengine.settings.keys import opened
from policyengine.settings.loading import WrongSettings
from policyengine.settings.model import Settings

HEALTH = "healthz"
# The pages of those who approve, which a browser opens: without credentials, it is asked for them.
PAGES = frozenset({"approvals", "approvals_task"})
SIGN_IN = "sign_in"
SIGN_IN_PATH = "/approvals/sign-in"
# The key under which the listener puts the verified certificate.
CERTIFICATE = "policyengine.client_certificate"
_CHALLENGE = (b"www-authenticate", b'Bearer realm="policyengine"')
_INVALID = (b"www-authenticate", b'Bearer realm="policyengine", error="invalid_token"')
_ABSENT = Refusal(401, "credentials are required", (_CHALLENGE,))
_REFUSED = Refusal(401, "the credentials are not accepted", (_INVALID,))
_LOCAL_ONLY = Refusal(403, "this service runs without authentication, and answers this machine only")
_UNAVAILABLE = Refusal(503, "credentials cannot be checked at the moment", ((b"retry-after", b"5"),))


def authentication(settings: Settings, tally: Tally, events: Sink) -> Authentication | Insecure:
    """The step for these settings. Raises WrongSettings if the settings would let nobody in, or a store cannot be
    read."""
    if settings.insecure:
        return Insecure()
    if not settings.has_credentials:
        raise WrongSettings(
            "the service would refuse every request: set `keys.store`, `issuers` or `certificates`, or, for this "
            "machine only, `insecure`"
        )
    limits, base = settings.limits, urlsplit(settings.public_url or "").path
    return Authentication(
        Authenticator(time.time, _keyring(settings), _issuers(settings), _certificates(settings)),
        {each.issuer: Document(each.issuer, each.jwks) for each in settings.issuers},
        Failures(limits.failures, limits.failures_per),
        settings.trusted_proxies,
        tally,
        Refusal(303, "sign in first", ((b"location", f"{base}{SIGN_IN_PATH}".encode()),)),
        events,
    )


def _keyring(settings: Settings) -> Keyring | None:
    keys = settings.keys
    if keys.store is None:
        return None
    try:
        return Keyring(*opened(keys), time.time, keys.grace)
    except KeyStoreError as error:
        raise WrongSettings(f"`keys.store`: {error}") from None


def _issuers(settings: Settings) -> dict[str, Trusted]:
    return {
        each.issuer: Trusted(
            each.expected(),
            each.claims.mapping(),
            KeySet(time.monotonic, fresh=each.fresh, grace=each.grace, pause=each.pause),
        )
        for each in settings.issuers
    }


def _certificates(settings: Settings) -> dict[str, Caller]:
    return {
        each.identity: Caller(each.identity, "certificate", frozenset(each.scopes), each.tenant)
        for each in settings.certificates
    }


class Insecure:
    """Everybody on this machine may ask anything. Requests from elsewhere, or under another host name, are refused."""

    async def __call__(self, incoming: Incoming) -> Caller | Refusal:
        server = incoming.scope.get("server")
        if server is None or server[1] is None:  # a Unix socket
            return ANONYMOUS
        if not is_loopback(server[0]) or not _is_here(incoming.headers.get(b"host", b"localhost")):
            return _LOCAL_ONLY
        return ANONYMOUS

    def known(self, peer: Peer, headers: Headers) -> Caller | None:
        """The local caller, if the request certainly comes from this machine."""
        server = peer.server
        if server is None or server[1] is None:
            return ANONYMOUS
        return ANONYMOUS if is_loopback(server[0]) and _is_here(headers.get(b"host", b"localhost")) else None

    async def run(self) -> None:
        """Does nothing: there is nothing to keep up to date."""

    def close(self) -> None:
        """Does nothing: there is nothing to release."""


@dataclass(slots=True)
class Authentication:
    """The step of a service that requires credentials. `run` keeps its keys up to date, until it is cancelled."""

    authenticator: Authenticator
    documents: Mapping[str, Document]
    failures: Failures
    proxies: Sequence[object]
    tally: Tally
    led: Refusal
    events: Sink
    _key_locks: dict[str, asyncio.Lock] = field(default_factory=dict)

    def known(self, peer: Peer, headers: Headers) -> Caller | None:
        """The caller that has shown the same credentials a moment ago."""
        header, shown = headers.get(b"authorization"), peer.shown
        if shown is not None and shown[0] == header:
            # Most connections show the same time after time.
            caller = shown[1]()
            if caller is not None:
                return caller
            # It may be valid again by now, for another reason.
            peer.shown = None
        if header is None or self.proxies:
            return None
        good = self.authenticator.good(header)
        if good is None:
            return None
        recognized = self.authenticator.recognizing(good, peer.client[0] if peer.client else None)
        caller = recognized()
        if caller is not None:
            peer.shown = header, recognized
        return caller

    async def __call__(self, incoming: Incoming) -> Caller | Refusal:
        if incoming.endpoint in (HEALTH, SIGN_IN):
            return ANONYMOUS
        headers = incoming.headers
        address = self._address(incoming) if self.proxies else _peer(incoming)
        header = headers.get(b"authorization")
        if header is None and incoming.endpoint in PAGES:
            found_card = card(incoming.scope["headers"])
            header = found_card.header if found_card is not None else None
            if header is None and not self.authenticator.certificates:
                return self.led
        if header is None:
            return self._by_certificate(incoming, address)
        # Where no name comes twice, this one does not either.
        if len(headers) != len(incoming.scope["headers"]) and _count(incoming, b"authorization") > 1:
            return self._failed(incoming, address, header)
        known = self.authenticator.remembered(header, address)
        if known is not None:
            return known
        try:
            caller = self.authenticator.bearer(header, address)
            if isinstance(caller, NeedsKeys):
                await self._read(caller.issuer, unknown=True)
                caller = self.authenticator.bearer(header, address)
        except Unknowable:
            return _UNAVAILABLE
        if isinstance(caller, Caller):
            return caller
        refusal = self._failed(incoming, address, header)
        # A browser with bad credentials is redirected to the sign-in page.
        return self.led if incoming.endpoint in PAGES and refusal.status == 401 else refusal

    def _by_certificate(self, incoming: Incoming, address: str | None) -> Caller | Refusal:
        certificate = self._certificate(incoming)
        if certificate is None:
            return self._failed(incoming, address, None)
        caller = self.authenticator.certificate(certificate)
        return caller if caller is not None else self._failed(incoming, address, b"")

    def _certificate(self, incoming: Incoming) -> bytes | None:
        """The certificate of the connection; for a trusted proxy, the one that it says it has verified."""
        if not self.authenticator.certificates:
            return None
        if is_proxy(_peer(incoming), self.proxies):
            values = [value for name, value in incoming.scope["headers"] if name == b"client-cert"]
            if values:
                return from_header(values[0]) or b"" if len(values) == 1 else b""
        certificate: bytes | None = (incoming.scope.get("extensions") or {}).get(CERTIFICATE)
        return certificate

    def _failed(self, incoming: Incoming, address: str | None, header: bytes | None) -> Refusal:
        """Counts a failure. `header` is None for a request without credentials."""
        self.tally.refusal("absent" if header is None else "refused")
        wait = self.failures.failed(address, key_id(header), time.monotonic())
        if wait:
            self.tally.refusal("throttled")
            return Refusal(429, "too many failed attempts", ((b"retry-after", retry_after(wait)),))
        # One line and one event for each that is not throttled, so that nobody can fill a disk.
        details: dict[str, Field] = {"address": address, "key": key_id(header), "credentials": header is not None}
        self.events.send(Event("caller.refused", details))
        log.warning("authentication failed", request_id=incoming.request_id, **details)
        return _ABSENT if header is None else _REFUSED

    def _address(self, incoming: Incoming) -> str | None:
        """Where a request comes from: the nearest hop that is not a trusted proxy."""
        named = (value for name, value in incoming.scope["headers"] if name == b"x-forwarded-for")
        return origin(_peer(incoming), named, self.proxies)

    async def _read(self, issuer: str, *, unknown: bool = False) -> None:
        keys, lock = self.authenticator.issuers[issuer].keys, self._key_locks.setdefault(issuer, asyncio.Lock())
        problem = await refresh(keys, self.documents[issuer], lock, unknown=unknown)
        if problem is not None:
            self.tally.key_sets["failed" if problem else "ok"] += 1
        if problem:
            log.error("the keys of an issuer cannot be read", issuer=issuer, problem=problem)

    async def run(self) -> None:
        """Keeps keys and their usage up to date, until it is cancelled."""
        await asyncio.gather(self._follow_issuers(), self._follow_keys())

    async def _follow_issuers(self) -> None:
        while self.authenticator.issuers:
            await asyncio.gather(*(self._read(name) for name in self.authenticator.issuers))
            await asyncio.sleep(REFRESH)

    async def _follow_keys(self) -> None:
        flushed = time.monotonic()
        while self.authenticator.keyring is not None:
            ring = self.authenticator.keyring
            before = ring.problem
            await asyncio.to_thread(ring.refresh)
            if ring.problem is not None and ring.problem != before:
                log.error("the store of keys cannot be read", problem=ring.problem, grace=ring.grace)
            elif ring.problem is None and before is not None:
                log.info("the store of keys can be read again")
            if time.monotonic() - flushed > FLUSH:
                flushed = time.monotonic()
                await asyncio.to_thread(self._keep, ring.take_uses())
            await asyncio.sleep(REFRESH)

    def _keep(self, uses: Mapping[str, KeyUse]) -> None:
        try:
            if self.authenticator.keyring is not None:
                self.authenticator.keyring.keep_uses(uses)
        except KeyStoreError as error:
            log.error("the usage of keys cannot be kept", problem=str(error))

    def close(self) -> None:
        """Saves the remaining usage, and closes the store."""
        ring = self.authenticator.keyring
        if ring is not None:
            self._keep(ring.take_uses())
            ring.store.close()


@lru_cache(256)
def _is_here(host: bytes) -> bool:
    """Whether the host name in a request means this machine."""
    return len(host) < _LONG and is_loopback(_without_port(host.decode("latin-1")))


# Host names are shorter (RFC 1035), and the cache is bounded.
_LONG = 300


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and not host.endswith("]") else host


def _count(incoming: Incoming, header: bytes) -> int:
    return sum(name == header for name, _ in incoming.scope["headers"])


def _peer(incoming: Incoming) -> str | None:
    client = incoming.scope.get("client")
    return client[0] if client else None
