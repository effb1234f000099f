"""Counters with bounded memory: failed attempts by their origin, and requests by their sender.

Nothing here reads a clock; `now` is in seconds, of any clock that does not go back.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_network
from math import ceil

from policyengine.bounded_cache import BoundedCache
from policyengine.callers.keys import normal_address

# Sources and callers that are remembered; past that the ones not heard of for longest are forgotten.
MOST = 50_000
_SITE = 64  # bits: what one subscriber of IPv6 has is one source


class Meter:
    """At most `count` in `per` seconds for each name, without a burst beyond that (the generic cell rate algorithm).

    What is kept of a name is one number: the time at which it has its whole room again.
    """

    __slots__ = ("_full", "_step", "count", "per")

    def __init__(self, count: int, per: float, most: int = MOST) -> None:
        if count < 1 or per <= 0:
            raise ValueError("a limit must be at least 1, and its time more than 0")
        self.count = count
        self.per = per
        self._step = per / count
        self._full: BoundedCache[str, float] = BoundedCache(most)

    def take(self, name: str, now: float) -> float:
        """Counts one, if there is room for it. The seconds to wait until there is; 0 if it was counted."""
        full: float = max(self._full.get(name, now), now)
        wait = full + self._step - self.per - now
        # The sum of many steps is not exact, and nobody is to wait for a rounding error.
        if wait > self._step * 1e-6:
            return wait
        self._full[name] = full + self._step
        return 0.0

    def __len__(self) -> int:
        return len(self._full)


class Failures:
    """Failed attempts to authenticate, by address and by the public id of the key that was tried."""

    __slots__ = ("_addresses", "_keys")

    def __init__(self, count: int, per: float, most: int = MOST) -> None:
        self._addresses = Meter(count, per, most)
        self._keys = Meter(count, per, most)

    def failed(self, address: str | None, key_id: str | None, now: float) -> float:
        """Counts a failed attempt. The seconds to wait, if there were too many, else 0. Only one that failed is told to
        wait: a good credential is never refused for what others tried."""
        by_address = self._addresses.take(source(address), now)
        by_key = self._keys.take(key_id, now) if key_id is not None else 0.0
        return max(by_address, by_key)


def source(address: str | None) -> str:
    """What stands for an address among the failed attempts. Those without one, over a Unix socket, are one source."""
    normal = normal_address(address)
    if isinstance(normal, IPv6Address):
        return str(ip_network((normal, _SITE), strict=False))
    return str(normal)


def retry_after(wait: float) -> bytes:
    """The seconds of a `Retry-After`: whole, and not too few."""
    return b"%d" % max(1, ceil(wait))
