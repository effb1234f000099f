"""The time zones, from the package `tzdata` and from nowhere else.

What the machine has of them differs from machine to machine, and its version cannot be told; so that one revision means
the same everywhere, `VERSION` is part of it. In: a name. Out: a zone that knows its past and future.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import tzdata

VERSION: str = tzdata.IANA_VERSION


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone there is, such as `Europe/Berlin` and `UTC`."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone. Raises KeyError for a name that is none; no file is looked for by a name that somebody made up."""
    if name not in names():
        raise KeyError(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
