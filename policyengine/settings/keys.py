"""The store of API keys that the settings name, and the key that hashes the keys in it."""

from __future__ import annotations

import secrets

from policyengine.callers.stores.file import read_private, write_private
from policyengine.callers.stores.opening import beside, open_store
from policyengine.callers.stores.store import KeyStore, KeyStoreError
from policyengine.settings.model import KeySettings

_LEAST = 32  # characters


def hash_key(keys: KeySettings) -> bytes:
    """The key that hashes API keys. Raises StoreError."""
    if keys.hash_key is not None:
        return keys.hash_key.get_secret_value().encode()
    path = beside(keys.store or "")
    if path is None:
        raise KeyStoreError("a store that is a server needs `keys.hash_key`, or `keys.hash_key_file`")
    key = read_private(path).strip()
    if len(key) < _LEAST:
        raise KeyStoreError(f"{path}: fewer than {_LEAST} characters")
    return key


def create(keys: KeySettings) -> tuple[KeyStore, bytes]:
    """The store and the hash key; both are made if they do not exist. Raises StoreError."""
    store = open_store(keys.store or "", create=True)
    path = beside(keys.store or "")
    if keys.hash_key is None and path is not None and not path.exists():
        if store.keys():
            raise KeyStoreError(f"{path}: missing, and the keys in the store were hashed with it")
        write_private(path, secrets.token_hex(_LEAST).encode() + b"\n")
    return store, hash_key(keys)


def opened(keys: KeySettings) -> tuple[KeyStore, bytes]:
    """The store and the hash key, which must exist. Raises StoreError."""
    store = open_store(keys.store or "")
    store.mark()
    return store, hash_key(keys)
