"""A store of API keys in a file, as an administrator has it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from policyengine.callers import keys
from policyengine.callers.api_key import ApiKey
from policyengine.callers.caller import SCOPES
from policyengine.callers.stores.store import KeyStore
from policyengine.settings import keys as settings_keys
from policyengine.settings.model import KeySettings


class Store:
    """A store of keys, as an administrator has it."""

    def __init__(self, path: Path) -> None:
        self.settings = KeySettings(store=str(path / "keys.json"))
        self.store: KeyStore
        self.store, self.hash_key = settings_keys.create(self.settings)

    def new(self, *scopes: str, **more: Any) -> ApiKey:
        made, text = keys.create("test", frozenset(scopes or SCOPES), self.hash_key, time.time(), **more)  # type: ignore[arg-type]
        self.store.change(lambda _: made)
        return text

    def revoke(self, key: ApiKey) -> None:
        self.store.change(lambda known: keys.revoke(known[key.id], time.time()))
