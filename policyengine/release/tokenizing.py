"""Replacements for a value: a keyed hash, which is the same for the same value, or a token that can be turned back into
it.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from policyengine.lazy_import import library

_exceptions = library("cryptography.exceptions")
_ciphers = library("cryptography.hazmat.primitives.ciphers.aead")

# Tokens consist of these letters, two for a byte: no credential, number or address does.
_LETTERS = "klmnopqrstuvwxyz"
# The bytes of a hash that are shown: 80 bits, which base32 writes as 16 characters.
_HASH_BYTES = 10
# AES-SIV takes two AES keys in one. RFC 5297, section 2.2.
KEY_BYTES = (32, 48, 64)


class NoKey(Exception):
    """Something has to be hashed or tokenized, and there is no key."""


class NotAToken(ValueError):
    """No value can be restored from this: it is not a token, or another tenant's, or was made with another key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A tenant's key, 32, 48 or 64 random bytes; None if hashes and tokens are not used. Raises ValueError for any
    other length."""

    secret: bytes | None = field(default=None, repr=False)
    tenant: str = ""

    def __post_init__(self) -> None:
        if self.secret is not None and len(self.secret) not in KEY_BYTES:
            raise ValueError("a release key has 32, 48 or 64 bytes")

    def hash(self, kind: str, value: str) -> str:
        """16 characters of base32, in lower case. Raises NoKey."""
        message = b"\0".join(part.encode(errors="surrogatepass") for part in ("hash", self.tenant, kind, value))
        digest = hmac.new(self._key(), message, sha256).digest()[:_HASH_BYTES]
        return base64.b32encode(digest).decode().lower()

    def token(self, kind: str, value: str) -> str:
        """The value, encrypted (AES-SIV, so that equal values have equal tokens), in letters from k to z. Raises
        NoKey."""
        sealed = _ciphers.AESSIV(self._key()).encrypt(value.encode(errors="surrogatepass"), self._bound(kind))
        return "".join(_LETTERS[byte >> 4] + _LETTERS[byte & 15] for byte in sealed)

    def value(self, kind: str, token: str) -> str:
        """The value that `token` was made from. Raises NoKey, and NotAToken."""
        try:
            digits = [_LETTERS.index(letter) for letter in token]
            sealed = bytes(high << 4 | low for high, low in zip(digits[::2], digits[1::2], strict=True))
            opened: bytes = _ciphers.AESSIV(self._key()).decrypt(sealed, self._bound(kind))
            return opened.decode(errors="surrogatepass")
        except (ValueError, _exceptions.InvalidTag):
            raise NotAToken("not a token of this tenant and kind") from None

    def _bound(self, kind: str) -> list[bytes]:
        return [b"token", self.tenant.encode(errors="surrogatepass"), kind.encode(errors="surrogatepass")]

    def _key(self) -> bytes:
        if self.secret is None:
            raise NoKey("hash and tokenize need a key: set `key` of the `Inspection`, or `texts.key` of the service")
        return self.secret
