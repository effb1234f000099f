"""The text of an API key: `pe_sk_<id>_<secret><checksum>`.

The id is public and names the key in lists, logs and limits. The secret has 256 bits. The checksum lets a scanner, or a
person with a clipboard that lost a letter, tell a key from something that only looks like one; it protects nothing.

Only the keyed hash of a text is ever kept. `parse` and `digest` take whatever a client sends and never raise for it.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from zlib import crc32

PREFIX = "pe_sk_"
ID_LENGTH = 12
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_LETTERS = "0123456789abcdefghijkmnpqrstuvwxyz"
_SECRET_BITS = 256
_SECRET_LENGTH = 43  # 62**43 > 2**256
_CHECK_LENGTH = 6  # 62**6 > 2**32
_SHAPE = re.compile(
    rf"{PREFIX}(?P<id>[0-9a-z]{{{ID_LENGTH}}})_[0-9A-Za-z]{{{_SECRET_LENGTH}}}(?P<check>[0-9A-Za-z]{{{_CHECK_LENGTH}}})"
)


@dataclass(frozen=True, slots=True, repr=False)
class ApiKey:
    """A key as it is shown once. `repr` does not show it, so that no traceback does."""

    id: str
    text: str

    def __repr__(self) -> str:
        return f"ApiKey({self.id!r})"


def new(id_: str | None = None) -> ApiKey:
    """A new key; with an id, a new secret for the key of that id."""
    id_ = id_ or "".join(secrets.choice(_ID_LETTERS) for _ in range(ID_LENGTH))
    body = f"{PREFIX}{id_}_{_base62(secrets.randbits(_SECRET_BITS), _SECRET_LENGTH)}"
    return ApiKey(id_, body + _check(body))


def parse(text: str) -> ApiKey | None:
    """The key that a text is; None for a text that is none, such as one with a letter changed."""
    shaped = _SHAPE.fullmatch(text)
    if shaped is None or not hmac.compare_digest(shaped["check"], _check(text[:-_CHECK_LENGTH])):
        return None
    return ApiKey(shaped["id"], text)


def digest(key: ApiKey, hash_key: bytes) -> str:
    """The keyed hash that is stored. Without the hash key, a stolen store is of no use even to check a guess."""
    return hmac.digest(hash_key, key.text.encode("ascii"), "sha256").hex()


def _check(body: str) -> str:
    return _base62(crc32(body.encode("ascii")), _CHECK_LENGTH)


def _base62(number: int, length: int) -> str:
    letters = []
    for _ in range(length):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return "".join(reversed(letters))
