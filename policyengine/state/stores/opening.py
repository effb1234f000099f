"""From a URL to the store that it names."""

from __future__ import annotations

from policyengine.diagnostics.suggest import did_you_mean
from policyengine.state.store import Store
from policyengine.state.stores.cluster import Cluster
from policyengine.state.stores.memory import Memory
from policyengine.state.stores.postgresql import Postgresql
from policyengine.state.stores.redis import Redis
from policyengine.state.stores.sqlite import Sqlite

SCHEMES = (
    "memory", "sqlite", "redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "postgresql", "postgres",
)  # fmt: skip


def open_store(url: str) -> Store:
    """The store of a URL: `memory://`, `sqlite:///state.db` (a fourth slash begins an absolute path),
    `redis://host:6379/0` (or `rediss://`, `unix://`), `redis+cluster://host:6379` (any node of it),
    `postgresql://host/database`. Raises ValueError for another URL, StoreError for a store that cannot be used."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        known = ", ".join(f"`{name}://`" for name in SCHEMES)
        raise ValueError(f"no store is named `{scheme}`: {did_you_mean(scheme, SCHEMES) or f'known: {known}'}")
    if scheme == "memory":
        return Memory()
    if scheme in ("redis", "rediss", "unix"):
        return Redis(url)
    if scheme in ("redis+cluster", "rediss+cluster"):
        return Cluster(url)
    if scheme in ("postgresql", "postgres"):
        return Postgresql(url)
    if not rest.startswith("/") or rest == "/":
        raise ValueError("a store in SQLite must be written as `sqlite:///state.db`, or `sqlite:////var/lib/state.db`")
    return Sqlite(rest[1:])
