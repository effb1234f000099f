"""The time zones, only from the package `tzdata`.

A machine's own zones differ from machine to machine, and their version cannot be determined. `VERSION` is part of the
revision, so that one revision means the same everywhere. In: a name. Out: a zone that knows its past and future.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import tzdata

VERSION: str = tzdata.IANA_VERSION


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every zone name, such as `Europe/Berlin` and `UTC`."""
    return frozenset(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone. Raises KeyError for an unknown name; no file is opened by a name that somebody made up."""
    if name not in names():
        raise KeyError(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
