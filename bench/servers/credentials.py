"""What opens a service in a bench: an API key and its store, and a token with the keys of its issuer."""

from __future__ import annotations

import json
import time
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import RSAKey

from policyengine.callers import keys
from policyengine.callers.api_key import ApiKey
from policyengine.settings.keys import create
from policyengine.settings.model import Issuer, KeySettings

ISSUER = "https://id.example"


def new_key(home: Path, *scopes: str) -> tuple[KeySettings, ApiKey]:
    """The settings of a store in this directory, and a key in it."""
    settings = KeySettings(store=str(home / "keys.json"))
    store, hash_key = create(settings)
    key, shown = keys.create("bench", frozenset(scopes), hash_key, time.time())  # type: ignore[arg-type]
    store.change(lambda _: key)
    return settings, shown


def new_token(home: Path, scope: str) -> tuple[Issuer, str]:
    """The settings of an issuer whose keys are in this directory, and a token of it."""
    private = RSAKey.generate_key(2048, {"kid": "k"})
    (home / "jwks.json").write_text(json.dumps({"keys": [private.as_dict(private=False)]}), encoding="utf-8")
    issuer = Issuer(issuer=ISSUER, audiences=["bench"], jwks=str(home / "jwks.json"))
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "bench", "sub": "bench", "scope": scope, "iat": now, "exp": now + 3600}
    return issuer, jwt.encode({"alg": "RS256", "kid": "k", "typ": "at+jwt"}, claims, private, algorithms=["RS256"])
