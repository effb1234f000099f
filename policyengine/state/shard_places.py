"""Where a key is kept in a store of several shards: its place, four hexadecimal digits.

Everything of a tenant has one place, so that one script can change it in one step. A meter that does not count by
tenant has a place of its own. A reservation's id begins with the place of its tenant, so that the id is enough to find
it.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from re import ASCII, compile

_PLACE = compile("[0-9a-f]{4}", ASCII)


@lru_cache(maxsize=16_384)
def place(text: str) -> str:
    """The place of a tenant, or of anything else with a name."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:4]


def place_of(key: str) -> str:
    """The place of a key."""
    kind, _, rest = key.partition(":")
    match kind:
        case "lease" | "once" | "change" | "beat":
            place_digits = rest[:4]
        case "meter":
            place_digits = rest.rpartition(":")[2][:4]
        case "approvals":
            return place(rest)
        case "approval":
            return place(rest.rpartition(":")[0])
        case "session":
            return place(rest.rpartition(":")[0])
        case _:
            return place(key)
    return place_digits if _PLACE.fullmatch(place_digits) else place(key)
