"""The address of a store of API keys to the store: a path, or the URL of a state store, which may be the same store:
`sqlite:///PATH`, `redis://...`, `postgresql://...`. `sqlite:PATH` is the same as `sqlite:///PATH`."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from policyengine.callers.stores.file import FileStore, create_file
from policyengine.callers.stores.postgresql import PostgresqlStore, create_postgresql
from policyengine.callers.stores.redis import RedisStore, create_redis
from policyengine.callers.stores.sqlite import SqliteStore, create_sqlite
from policyengine.callers.stores.store import KeyStore, KeyStoreError

_POSTGRESQL = ("postgresql://", "postgres://")
_REDIS = ("redis://", "rediss://", "unix://")
_MEMORY = "memory:"
_SQLITE = "sqlite:"


def open_store(address: str, *, create: bool = False) -> KeyStore:
    """The store at an address. It must be there already, unless `create` is given. Raises StoreError."""
    if address.startswith(_POSTGRESQL):
        if find_spec("psycopg") is None:
            raise KeyStoreError("PostgreSQL needs psycopg: pip install policyengine-ai[postgresql]")
        if create:
            create_postgresql(address)
        return PostgresqlStore(address)
    if address.startswith(_REDIS):
        if create:
            create_redis(address)
        return RedisStore(address)
    if address.startswith(_MEMORY):
        raise KeyStoreError(
            "keys in memory would belong to one process, and be lost when it ends: name a file or a server"
        )
    if address.startswith(_SQLITE):
        path = _path(address)
        if create:
            create_sqlite(path)
        return SqliteStore(path)
    if "://" in address or not address:
        raise KeyStoreError("a store of keys is a path, sqlite:///PATH, redis://... or postgresql://...")
    if create:
        create_file(Path(address))
    return FileStore(Path(address))


def beside(address: str) -> Path | None:
    """Where the hash key is kept if no setting says so: beside the file that has the keys. None for a server's."""
    if address.startswith((*_POSTGRESQL, *_REDIS)):
        return None
    path = _path(address)
    return path.with_name(path.name + ".hash-key")


def _path(address: str) -> Path:
    """The path in an address: in `sqlite:///PATH`, as in the URL of a state store, a fourth slash begins an absolute
    one."""
    path = address.removeprefix(_SQLITE)
    return Path(path.removeprefix("///")) if path.startswith("//") else Path(path)
