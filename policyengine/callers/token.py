"""From a signed token (RFC 7519) to its claims, if everything about it is right.

Pure: the token, what is expected of it, a function that finds keys, and the time in; the claims or None out. Never
raises for what a token holds, and never says what is wrong with it. The library checks signatures; everything else is
checked here.
"""

from __future__ import annotations

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from joserfc import jws
from joserfc.errors import JoseError

from policyengine.callers.expected_token import ALGORITHMS, ExpectedToken
from policyengine.callers.key_set import PublicKey, suits
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

MOST_BYTES = 16 << 10
_PARTS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KID = re.compile(r"[\x21-\x7e]{1,256}")
# Headers that bring a key, change what is signed, or wrap another token.
_REFUSED = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty", "epk"})
_REGISTRY = jws.JWSRegistry(algorithms=list(ALGORITHMS), strict_check_header=False)
_REGISTRY.max_header_length = MOST_BYTES


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A token as it was read. Nothing in it may be trusted yet."""

    text: str
    algorithm: str
    type: str | None
    kid: str | None
    claims: Mapping[str, Any]

    @property
    def issuer(self) -> Any:
        return self.claims.get("iss")


def read(text: str) -> Unsigned | None:
    """The token that a text is, or None."""
    if len(text) > MOST_BYTES or not _PARTS.fullmatch(text):
        return None
    header_part, claims_part, signature_part = text.split(".")
    header, claims = _object(header_part), _object(claims_part)
    if header is None or claims is None or _decoded(signature_part) is None or header.keys() & _REFUSED:
        return None
    algorithm, kind, kid = header.get("alg"), header.get("typ"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        return None
    if not isinstance(kind, str | None) or not isinstance(kid, str | None):
        return None
    if kid is not None and not _KID.fullmatch(kid):
        return None
    return Unsigned(text, algorithm, kind, kid, claims)


def looks_right(token: Unsigned, expected: ExpectedToken, now: float) -> bool:
    """Whether all but the signature is as expected: worth looking for the key."""
    kind = (token.type or "").lower().removeprefix("application/")
    return (
        token.issuer == expected.issuer
        and token.algorithm in expected.algorithms
        and kind in expected.types
        and _is_for(token.claims.get("aud"), expected.audiences)
        and isinstance(token.claims.get("sub"), str)
        and 0 < len(token.claims["sub"]) <= 512
        and _is_now(token.claims, expected, now)
    )


def verified(token: Unsigned, key: PublicKey) -> bool:
    """Whether the signature is the key's."""
    if not suits(key, token.algorithm):
        return False
    try:
        jws.deserialize_compact(token.text, key, registry=_REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
        return False
    return True


def check(
    text: str, expected: Mapping[str, ExpectedToken], find: Callable[[str, str | None], PublicKey | None], now: float
) -> Unsigned | None:
    """The token, if one of the issuers expected gave it out and everything is right. `find` gives the key of an issuer
    by its id."""
    token = read(text)
    if token is None or not isinstance(token.issuer, str):
        return None
    of_issuer = expected.get(token.issuer)
    if of_issuer is None or not looks_right(token, of_issuer, now):
        return None
    key = find(token.issuer, token.kid)
    return token if key is not None and verified(token, key) else None


def good_until(token: Unsigned, expected: ExpectedToken) -> float:
    """When a token that was checked stops being good."""
    return float(token.claims["exp"]) + expected.skew


def _is_for(audience: Any, expected: frozenset[str]) -> bool:
    named = audience if isinstance(audience, list) else [audience]
    return all(isinstance(each, str) for each in named) and not expected.isdisjoint(named)


def _is_now(claims: Mapping[str, Any], expected: ExpectedToken, now: float) -> bool:
    times = (claims.get("exp"), claims.get("iat"), claims.get("nbf", 0))
    if not all(map(_is_time, times)):
        return False
    expires, issued, begins = map(float, cast("tuple[float, float, float]", times))
    late, early = now - expected.skew, now + expected.skew
    return late < expires and issued <= early and begins <= early and 0 < expires - issued <= expected.lifetime


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1 << 53


def _object(part: str) -> dict[str, Any] | None:
    data = _decoded(part)
    # A byte order mark, which some readers skip and others do not, is none of it.
    if data is None or not data.startswith(b"{"):
        return None
    try:
        value = parse_json(data)
    except Fault:
        return None
    return value if isinstance(value, dict) else None


def _decoded(part: str) -> bytes | None:
    """The bytes of a part that is written in the only way to write them."""
    try:
        data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if urlsafe_b64encode(data).rstrip(b"=").decode() == part else None
