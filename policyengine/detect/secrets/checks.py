"""Structure that can be verified, and values that are no secret.

A check returns the score of a finding. If the provider documents check digits, a value with the right ones is certain,
and a value with wrong ones is still found: it has the form of a secret, and somebody may have changed a character.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import zlib
from collections.abc import Callable
from hashlib import sha256

SURE = 1.0
LIKELY = 0.9
DOUBTFUL = 0.6

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def entropy(value: bytes) -> float:
    """Shannon's entropy, in bits per character."""
    size = len(value)
    return -sum(n / size * math.log2(n / size) for n in (value.count(c) for c in set(value)))


def github(token: bytes) -> float:
    """The last six characters are the CRC-32 of the random part, in base 62, padded with zeros. npm's tokens likewise.
    Source: https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/"""
    prefix, _, rest = token.rpartition(b"_")
    if len(rest) != 36 or not prefix:
        return DOUBTFUL
    number, digits = zlib.crc32(rest[:30]), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits = _BASE62[digit] + digits
    return SURE if digits.encode() == rest[30:] else DOUBTFUL


def jwt(token: bytes) -> float:
    """The first part is a JSON object with `alg`, `enc` or `typ`. Source: RFC 7515, section 4.1."""
    head = token.split(b".", 1)[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return DOUBTFUL
    return SURE if isinstance(header, dict) and header.keys() & {"alg", "enc", "typ", "kid"} else DOUBTFUL


CHECKS: dict[str, Callable[[bytes], float]] = {"github": github, "jwt": jwt}

# ---- values that are no secret ----

# Values that vendors print in their own documents, or that every copy of a program holds, as the first 16 hexadecimal
# digits of their SHA-256. Sources: https://docs.aws.amazon.com/IAM/latest/UserGuide/security-creds.html,
# https://firebase.google.com/docs/projects/api-keys, https://jwt.io; the allow-lists of gitleaks.
PUBLISHED = frozenset(
    {
        "0011cc25eb432071",
        "0b476bdf9acf2123",
        "1a5d44a2dca19669",
        "2037abcaffb2b777",
        "27a9a42931dff7eb",
        "2f21fd9c81678e39",
        "37f8f09bdf12c2f2",
        "3a8b61d0f636b007",
        "3f370c9dd8225c63",
        "49f777db995e8260",
        "4c98242dcadc8b29",
        "78314b11be2e5815",
        "7f39f45767958338",
        "7f75367e78812551",
        "8731261cb72d8626",
        "a0702bc91d699f60",
        "a19f89ab3555eac1",
        "a6c814bc555ae62c",
        "aa6547439583c3a2",
        "dba72c00f41f4e4c",
        "dc0fcf046c61640c",
        "e4a5542bb7fd7b67",
        "ea9bb1082cf95663",
        "eb540d2b6ee2a0a4",
        "f56e323494a6ffc2",
    }
)

_PLACEHOLDER = re.compile(
    rb"(?i)x{5,}|\*{3,}|\.{3}|#{4,}|0{8,}|(?-i:a{10,})|(?-i:X{4,})|example|changeme|change_me|placeholder|redacted|"
    rb"your[_-]?(?:api|own|key|token|secret|pass)|insert[_-]|replace[_-]?(?:me|with)|dummy|not[_-]?a[_-]?real|\[[a-z]|1234-1234|"
    rb"abcdefgh|12345678(?:9|\Z)|deadbeef|\$\{|\{\{|<[a-z]|randomstring"
)


def placeholder(value: bytes) -> bool:
    """Whether this stands for a value rather than being one, or is a value that everybody knows."""
    return _PLACEHOLDER.search(value) is not None or published(value)


def published(value: bytes) -> bool:
    return sha256(value).hexdigest()[:16] in PUBLISHED
