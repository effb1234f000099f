"""Whether a host is this machine, where a service may answer without authentication."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address


@lru_cache(256)
def is_loopback(host: str) -> bool:
    """By its address, or by the one name that cannot be another's."""
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
