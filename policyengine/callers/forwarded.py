"""Where an HTTP request comes from, if trusted proxies stand in front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from policyengine.callers.keys import normal_address


def is_proxy(address: str | None, proxies: Sequence[Any]) -> bool:
    """Whether an address is in one of these networks."""
    normal = normal_address(address)
    return normal is not None and any(normal in network for network in proxies)


def origin(peer: str | None, forwarded: Iterable[bytes], proxies: Sequence[Any]) -> str | None:
    """The nearest hop that is not a trusted proxy. `forwarded` are the values of X-Forwarded-For, of which only those
    that a trusted proxy has added are trusted."""
    if not is_proxy(peer, proxies):
        return peer
    address = peer
    for hop in reversed(b",".join(forwarded).decode("latin-1").split(",")):
        if not hop.strip():
            continue
        address = hop.strip()
        if not is_proxy(address, proxies):
            break
    return address
