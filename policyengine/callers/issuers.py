"""Fetches the keys of an issuer: from a file, from a URL, or from where its discovery document says.

Bounded in every way: the total time, the bytes of each document, no redirects, no proxies from the environment, https
except for this machine. The bytes of a document are returned unchecked.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from policyengine.callers.key_set import MOST_BYTES, KeySet
from policyengine.files import read_file
from policyengine.lazy_import import library
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault

_httpx2 = library("httpx2")
# Seconds for everything: nobody waits longer than this for a token to be judged.
MOST_SECONDS = 5.0
_DISCOVERY = "/.well-known/openid-configuration"
_LOCAL = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class Document:
    """Where the keys of an issuer are: a path, a URL, or None for where the issuer says."""

    issuer: str
    place: str | None


async def read_document(document: Document) -> bytes:
    """The bytes of a key set. Raises OSError or ValueError."""
    place = document.place
    if place is not None and "://" not in place:
        return await asyncio.to_thread(read_file, Path(place), MOST_BYTES + 1)
    try:
        async with asyncio.timeout(MOST_SECONDS):
            async with _httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=MOST_SECONDS) as client:
                return await _get(client, place or await _discovered(client, document.issuer))
    except TimeoutError:
        raise OSError(f"no answer within {MOST_SECONDS:.0f} seconds") from None
    except (_httpx2.HTTPError, _httpx2.InvalidURL, _httpx2.StreamError) as error:
        raise OSError(type(error).__name__) from None


async def refresh(keys: KeySet, document: Document, lock: asyncio.Lock, *, unknown: bool = False) -> str | None:
    """Reads the keys, if it is time to; whoever asks meanwhile waits for the same reading. What was wrong, empty if
    nothing was, and None if nothing was read. `unknown`: a token names a key that is not there."""
    # While old keys are good nobody waits for new ones. Without any, who does not wait is refused for no fault.
    if not unknown and keys.usable_for > 0 and not keys.wants_reading():
        return None
    async with lock:
        if not keys.wants_reading(unknown=unknown):
            return None
        keys.trying()
        try:
            keys.confirm(await read_document(document))
        except (OSError, ValueError) as error:
            return str(error) or type(error).__name__
        return ""


async def _discovered(client: Any, issuer: str) -> str:
    """The URL of the keys, from the issuer's own document (OpenID Connect Discovery 1.0, section 4.3)."""
    try:
        metadata = parse_json(await _get(client, issuer.rstrip("/") + _DISCOVERY))
    except Fault as fault:
        raise ValueError(fault.message) from None
    if not isinstance(metadata, dict) or metadata.get("issuer") != issuer:
        raise ValueError("the discovery document belongs to another issuer")
    if not isinstance(metadata.get("jwks_uri"), str):
        raise ValueError("the discovery document does not say where the keys are")
    url: str = metadata["jwks_uri"]
    # What an issuer on this machine says may be on this machine, and nobody else's.
    is_local = urlsplit(issuer).hostname in _LOCAL
    if not (url.startswith("https://") or (is_local and urlsplit(url).hostname in _LOCAL)):
        raise ValueError("the discovery document names a URL that is not https")
    return url


async def _get(client: Any, url: str) -> bytes:
    body = bytearray()
    async with client.stream("GET", url, headers={"accept": "application/json"}) as response:
        if response.status_code != 200:
            raise OSError(f"answered {response.status_code}")
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
    return bytes(body)
