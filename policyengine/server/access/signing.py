"""Signs, and verifies the service's own signatures: JWS in compact form, with ES256 only.

The library makes and checks signatures. The kind (`typ`), the issuer, the audience and the expiry are checked here: a
token for one purpose is good for no other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from policyengine.files import read_file
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

ALGORITHM = "ES256"
LONGEST = 64 * 1024  # characters of a token
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])


class UnusableKey(ValueError):
    """A key file without a key for ES256."""


@dataclass(frozen=True, slots=True)
class Signer:
    """The keys of a service. It signs with the first; a signature of any of them is valid, so that keys can change."""

    issuer: str
    keys: tuple[ECKey, ...]

    def sign(self, type_: str, claims: Mapping[str, Any]) -> str:
        key = self.keys[0]
        header = {"alg": ALGORITHM, "typ": type_, "kid": key.thumbprint()}
        text = json.dumps({"iss": self.issuer, **claims}, separators=(",", ":"))
        return jws.serialize_compact(header, text.encode(), key, registry=_REGISTRY)

    def verified(self, token: Any, type_: str, audience: str) -> Mapping[str, Any] | None:
        """The claims of a token that this service has signed, of this type and for this audience; None for any other.
        The claims say whether it is still valid."""
        if not isinstance(token, str) or len(token) > LONGEST or not token.isascii():
            return None
        try:
            header = jws.extract_compact(token.encode()).headers()
            key = next((key for key in self.keys if key.thumbprint() == header.get("kid")), None)
            if key is None or header.get("typ") != type_ or header.get("alg") != ALGORITHM or "crit" in header:
                return None
            claims = parse_json(jws.deserialize_compact(token, key, registry=_REGISTRY).payload)
        except (JoseError, Fault, ValueError, TypeError, KeyError, ArithmeticError, RecursionError):
            return None
        if not isinstance(claims, dict) or claims.get("iss") != self.issuer:
            return None
        named = claims.get("aud")
        return claims if audience in (named if isinstance(named, list) else [named]) else None

    def public(self) -> dict[str, Any]:
        """The JWK Set that others check signatures with."""
        public_keys = [key.as_dict(private=False) for key in self.keys]
        return {
            "keys": [
                {name: each[name] for name in ("kty", "crv", "x", "y")}
                | {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
                for key, each in zip(self.keys, public_keys, strict=True)
            ]
        }


def generated() -> str:
    """A new private key, as the text of a JWK."""
    return json.dumps(ECKey.generate_key("P-256", private=True).as_dict(private=True))


def keys_of(text: str) -> tuple[ECKey, ...]:
    """The private keys in a text: PEM, a JWK, or a JWK Set whose first key signs. Raises UnusableKey."""
    try:
        if not text.lstrip().startswith("{"):
            keys = [ECKey.import_key(text)]
        else:
            value = json.loads(text)
            keys = [ECKey.import_key(each) for each in value["keys"]] if "keys" in value else [ECKey.import_key(value)]
        good = keys and all(key.is_private and key.curve_name == "P-256" for key in keys)
    except (JoseError, ValueError, TypeError, KeyError) as error:
        raise UnusableKey("it holds no private key for ES256") from error
    if not good:
        raise UnusableKey("it holds no private key for ES256")
    return tuple(keys)


def key_file(path: Path) -> tuple[ECKey, ...]:
    """Raises UnusableKey."""
    try:
        return keys_of(read_file(path).decode("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise UnusableKey("it cannot be read") from None
    except UnusableKey as error:
        raise UnusableKey(str(error)) from None
