"""The keys of an issuer, fetched: nothing that stands in their place holds a process up."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from policyengine.callers.issuers import Document, read_document, refresh
from policyengine.callers.key_set import KeySet
from policyengine.server.access.signing import UnusableKey, key_file


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.json")
    with pytest.raises(OSError, match="a pipe or a device"):
        asyncio.run(read_document(Document("https://id.example", str(tmp_path / "keys.json"))))
    with pytest.raises(UnusableKey, match="cannot be read"):
        key_file(tmp_path / "keys.json")


def test_whoever_asks_while_the_first_keys_are_read_has_them_as_well(tmp_path: Path) -> None:
    """Two callers at once, at the start of a gateway: the second was refused, as nothing was there yet."""
    public = ECKey.generate_key("P-256", {"kid": "k", "use": "sig"}).as_dict(private=False)
    (tmp_path / "keys.json").write_text(json.dumps({"keys": [public]}))
    keys = KeySet(time.monotonic)
    document = Document("https://id.example", str(tmp_path / "keys.json"))

    async def asked(lock: asyncio.Lock, unknown: bool) -> tuple[str | None, bool]:
        problem = await refresh(keys, document, lock, unknown=unknown)
        return problem, keys.find("k") is not None

    async def together() -> list[tuple[str | None, bool]]:
        lock = asyncio.Lock()
        return await asyncio.gather(*(asked(lock, unknown) for unknown in (False, False, True)))

    assert asyncio.run(together()) == [("", True), (None, True), (None, True)]
