"""The caller of a request over HTTP: a caller with its own token, anybody with the shared token, or anybody at all.

Each kind accepts or rejects the `Authorization` header of a request. A gateway with issuers is an OAuth protected
resource: it verifies tokens, which must be for it, and says where to get one (RFC 9728) and which scopes are needed
(RFC 6750). No token is passed on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import Any, Protocol
from urllib.parse import urlsplit

from policyengine.callers.authenticate import Authenticator, NeedsKeys, Trusted
from policyengine.callers.caller import Caller
from policyengine.callers.issuers import Document, refresh
from policyengine.callers.key_set import KeySet
from policyengine.callers.refusal import Refusal
from policyengine.settings.gateway import GatewaySettings

log = logging.getLogger(__name__)

METADATA = "/.well-known/oauth-protected-resource"
_CHALLENGE = b"www-authenticate"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The sender of a request. `key` identifies the caller; `caller` is None if the host says who it is."""

    key: str
    caller: Caller | None = None


class Entrance(Protocol):
    async def admit(self, header: bytes | None) -> Arrival | Refusal:
        """`header` is the only `Authorization` header of a request; None if it has none."""

    def metadata(self, path: str) -> Mapping[str, Any] | None:
        """What a path says of this protected resource."""


class Anybody:
    """Anybody who reaches the address."""

    async def admit(self, header: bytes | None) -> Arrival | Refusal:
        return Arrival("")

    def metadata(self, path: str) -> Mapping[str, Any] | None:
        return None


@dataclass(frozen=True, slots=True)
class OneToken:
    """Anybody with the token of this gateway."""

    token: str = field(repr=False)

    async def admit(self, header: bytes | None) -> Arrival | Refusal:
        if header is not None and compare_digest(header, f"Bearer {self.token}".encode()):
            return Arrival("")
        return Refusal(401, "the token of this gateway is needed", ((_CHALLENGE, b"Bearer"),))

    def metadata(self, path: str) -> Mapping[str, Any] | None:
        return None


class Tokens:
    """Callers with tokens of trusted issuers."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._scopes = {each.issuer: each.claims.scopes for each in settings.issuers}
        trusted = {
            each.issuer: Trusted(
                each.expected(),
                each.claims.mapping(),
                KeySet(time.monotonic, fresh=each.fresh, grace=each.grace, pause=each.pause),
            )
            for each in settings.issuers
        }
        self._documents = {each.issuer: Document(each.issuer, each.jwks) for each in settings.issuers}
        self._authenticator = Authenticator(time.time, issuers=trusted)
        self._key_locks = {each.issuer: asyncio.Lock() for each in settings.issuers}
        parts = urlsplit(settings.resource)
        self._path = METADATA + parts.path.rstrip("/")
        self._url = f"{parts.scheme}://{parts.netloc}{self._path}"

    async def admit(self, header: bytes | None) -> Arrival | Refusal:
        if header is None:
            return Refusal(401, "a token is needed", (self._challenge(),))
        for issuer in self._documents:
            await self._read(issuer)
        admitted = self._authenticator.remembered(header, None) or self._authenticator.bearer(header, None)
        if isinstance(admitted, NeedsKeys):
            await self._read(admitted.issuer, unknown=True)
            admitted = self._authenticator.bearer(header, None)
        if not isinstance(admitted, Caller):
            return Refusal(401, "the token is not accepted", (self._challenge("invalid_token"),))
        if not set(self._settings.scopes) <= set(_words(admitted.claims.get(self._scopes[admitted.claims["iss"]]))):
            return Refusal(403, "the token lacks a scope", (self._challenge("insufficient_scope"),))
        # Another client of the same user is another caller.
        client = admitted.claims.get("client_id", admitted.claims.get("azp", ""))
        return Arrival(sha256(repr((admitted.id, client)).encode()).hexdigest(), admitted)

    def metadata(self, path: str) -> Mapping[str, Any] | None:
        if path not in (METADATA, self._path):
            return None
        said: dict[str, Any] = {
            "resource": self._settings.resource,
            "authorization_servers": [each.issuer for each in self._settings.issuers],
            "bearer_methods_supported": ["header"],
        }
        return {**said, "scopes_supported": self._settings.scopes} if self._settings.scopes else said

    def _challenge(self, error: str | None = None) -> tuple[bytes, bytes]:
        said = {} if error is None else {"error": error}
        if self._settings.scopes:
            said["scope"] = " ".join(self._settings.scopes)
        said["resource_metadata"] = self._url
        return _CHALLENGE, ("Bearer " + ", ".join(f'{name}="{value}"' for name, value in said.items())).encode()

    async def _read(self, issuer: str, *, unknown: bool = False) -> None:
        keys = self._authenticator.issuers[issuer].keys
        if problem := await refresh(keys, self._documents[issuer], self._key_locks[issuer], unknown=unknown):
            log.error("the keys of %s cannot be read: %s", issuer, problem)


def _words(scopes: Any) -> Iterable[str]:
    """The scopes that a claim names: a text with spaces, or a list."""
    if isinstance(scopes, str):
        return scopes.split()
    return [each for each in scopes if isinstance(each, str)] if isinstance(scopes, list) else ()
