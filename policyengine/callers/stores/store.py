"""What every store of API keys does.

A store is shared by all processes that answer for each other. Its methods block, and may be called from any thread.
Each raises `KeyStoreError` when the store cannot be reached, or holds what it should not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from policyengine.callers.keys import Key, KeyUse, from_json

Keys = Mapping[str, Key]


class KeyStoreError(Exception):
    """The store cannot be used; the message says why, and shows no secret."""


def keys_of(rows: Iterable[tuple[str, str | bytes]], store: str) -> Keys:
    """The keys of rows, each an id and a JSON text. Raises KeyStoreError, which names the store."""
    keys = {}
    for id_, body in rows:
        try:
            keys[id_] = from_json(json.loads(body))
        except (ValueError, TypeError, RecursionError) as error:
            raise KeyStoreError(f"{store}: a key in it cannot be read: {error}") from None
        if keys[id_].id != id_:
            raise KeyStoreError(f"{store}: a key in it has the id of another")
    return keys


class KeyStore(Protocol):
    def mark(self) -> str:
        """Differs from what it was before whenever a key has changed since. Cheap: it is asked several times a
        second."""

    def keys(self) -> Keys:
        """Every key by its id, revoked ones included."""

    def change(self, change: Callable[[Keys], Key]) -> Key:
        """Puts the key that `change` makes of all keys, atomically: nobody else changes one meanwhile. What `change`
        raises is passed on, and nothing is changed."""

    def add_uses(self, uses: Mapping[str, KeyUse]) -> None:
        """Adds to the usage of keys."""

    def uses(self) -> Mapping[str, KeyUse]:
        """The usage of every key that was used."""

    def close(self) -> None:
        """Lets go of what the store holds open."""
