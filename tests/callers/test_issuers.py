"""The keys of an issuer, fetched: nothing that stands in their place holds a process up."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from policyengine.callers.issuers import Document, read_document
from policyengine.server.access.signing import UnusableKey, key_file


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.json")
    with pytest.raises(OSError, match="a pipe or a device"):
        asyncio.run(read_document(Document("https://id.example", str(tmp_path / "keys.json"))))
    with pytest.raises(UnusableKey, match="cannot be read"):
        key_file(tmp_path / "keys.json")
