"""The stores of API keys, each as the tests of all of them get it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pgserver
import psycopg
import pytest

from policyengine.state.operations import OpenSession
from policyengine.state.stores.opening import open_store as open_state
from tests.state.servers import redis_url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The address of a PostgreSQL server that runs for these tests only."""
    with tempfile.TemporaryDirectory(prefix="policyengine-keys-") as directory:
        server = pgserver.get_server(directory, cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(params=["file", "sqlite", "state-sqlite", "redis", "postgresql"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty place for a store."""
    match request.param:
        case "file":
            return str(tmp_path / "keys" / "keys.json")
        case "sqlite":
            return f"sqlite:{tmp_path / 'keys' / 'keys.db'}"
        case "state-sqlite":
            # The state of limits and sessions is in the same file.
            url = f"sqlite:///{tmp_path / 'state.db'}"
            store = open_state(url)
            store.run(OpenSession("s", "t", "p", 1))
            store.close()
            return url
        case "redis":
            return redis_url(fresh=True)
    uri: str = request.getfixturevalue("postgresql")
    with psycopg.connect(uri, autocommit=True) as db:
        db.execute("drop table if exists policyengine_keys, policyengine_key_uses, policyengine_key_mark")
    return uri
