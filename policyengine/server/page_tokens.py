"""Page tokens: where the next page of a search starts, sealed against changes.

A token holds the revision that answered, a digest of the search, the limit and the last result. It is valid for the
same search in the same revision, at a service that has the same key.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from policyengine.authzen.errors import Malformed

_SEAL = 16


@dataclass(frozen=True, slots=True)
class Start:
    """Where a page starts: after this result, or (None) at the first. `limit` is None if the caller names none."""

    after: str | None
    limit: int | None


class PageTokens:
    """Makes and reads the tokens of one service."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def make(self, search: Any, revision: str, start: Start) -> str:
        """The token for the page that starts there. `search` is the whole search request, as plain JSON."""
        payload = json.dumps([revision, _digest(search), start.limit, start.after], separators=(",", ":")).encode()
        return urlsafe_b64encode(self._seal(payload) + payload).decode()

    def read(self, token: str, search: Any, revision: str) -> Start:
        """Where the page starts. Raises Malformed for a token that is not for this search of this revision."""
        try:
            data = urlsafe_b64decode(token.encode("ascii"))
        except ValueError:
            data = b""
        seal, payload = data[:_SEAL], data[_SEAL:]
        # The text must be exactly the issued one: base64 decodes some other texts to the same bytes.
        if not hmac.compare_digest(seal, self._seal(payload)) or urlsafe_b64encode(data).decode() != token:
            raise Malformed("`page.token` was not issued by this service; search again without it")
        of_revision, digest, limit, after = json.loads(payload)
        if of_revision != revision:
            raise Malformed(
                "`page.token` belongs to policies or entities that have changed since; search again without it"
            )
        if digest != _digest(search):
            raise Malformed("`page.token` belongs to another search; everything but `page.token` must stay the same")
        return Start(after, limit)

    def _seal(self, payload: bytes) -> bytes:
        return hmac.digest(self._key, payload, "sha256")[:_SEAL]


def _digest(search: Any) -> str:
    return sha256(json.dumps(search, sort_keys=True).encode()).hexdigest()[:32]
