"""The cookie of the approval page: a credential, and the name of the user if the credential does not give it.

It is trusted no more than the header that it replaces: the credential is checked with each request.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass

COOKIE = "policyengine_approver"
LONGEST = 16 * 1024


@dataclass(frozen=True, slots=True)
class Card:
    credential: str
    who: str

    def text(self) -> str:
        return urlsafe_b64encode(json.dumps([self.credential, self.who]).encode()).decode()

    @property
    def header(self) -> bytes | None:
        """What `Authorization` would say."""
        credential = self.credential
        return (
            f"Bearer {credential}".encode()
            if credential and credential.isascii() and credential.isprintable()
            else None
        )


def card(headers: Sequence[tuple[bytes, bytes]]) -> Card | None:
    """The card in the cookies of a request."""
    for name, value in headers:
        if name != b"cookie" or len(value) > LONGEST:
            continue
        for each in value.split(b";"):
            key, _, text = each.strip().partition(b"=")
            if key == COOKIE.encode():
                return _read(text.strip(b'"'))
    return None


def _read(text: bytes) -> Card | None:
    try:
        card_fields = json.loads(urlsafe_b64decode(text))
    except (ValueError, RecursionError):
        return None
    if isinstance(card_fields, list) and len(card_fields) == 2 and all(isinstance(each, str) for each in card_fields):
        return Card(*card_fields)
    return None
