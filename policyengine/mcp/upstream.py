"""The servers behind the gateway, and the tools that they have.

With several servers a tool is called `SERVER__TOOL` to clients and policies alike; with one it keeps its name. A name
is one tool, to the letter; where two names become one once case and unusual characters are gone, both are withheld,
since nobody can tell which of them a model means.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp import Client

SEPARATOR = "__"
# A server that goes on listing after so many pages is not listened to.
MOST_PAGES = 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_UNUSUAL = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server, by the name that stands before its tools; empty where it is the only one."""

    name: str
    client: Client


@dataclass(frozen=True, slots=True)
class Known:
    """A tool of an upstream. `name` is what clients and policies call it, `definition` what the server says of it."""

    name: str
    upstream: Upstream
    tool: types.Tool

    @property
    def definition(self) -> dict[str, Any]:
        """All that a client reads of it, but for its name here."""
        return self.tool.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"})


async def tools(upstreams: Iterable[Upstream]) -> dict[str, Known]:
    """All tools, by their names here; none whose name is not usable or could be mistaken for another's. Raises what
    the client raises where a server cannot be asked: then nothing is known."""
    found = [known for upstream in upstreams for known in await _of(upstream)]
    usable = [known for known in found if _NAME.match(known.name)]
    same = Counter(_sanitised(known.name) for known in usable)
    return {known.name: known for known in usable if same[_sanitised(known.name)] == 1}


async def _of(upstream: Upstream) -> list[Known]:
    found: list[Known] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page = await upstream.client.list_tools(cursor=cursor, cache_mode="bypass")
        prefix = f"{upstream.name}{SEPARATOR}" if upstream.name else ""
        found += [Known(f"{prefix}{tool.name}", upstream, tool) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise ValueError("a server that goes on listing tools")


def _sanitised(name: str) -> str:
    return _UNUSUAL.sub("_", unicodedata.normalize("NFKC", name).casefold())


def definitions(known: Mapping[str, Known]) -> dict[str, dict[str, Any]]:
    return {name: one.definition for name, one in known.items()}
