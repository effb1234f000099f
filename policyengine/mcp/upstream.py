"""The servers behind the gateway, and their tools.

With several servers, clients and policies call a tool `SERVER__TOOL`; with one server, it keeps its name. Names are
compared exactly. If two names are equal without case and unusual characters, both are withheld, because nobody can tell
which one a model means.
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

from policyengine.mcp.coaz import DECLARED

SEPARATOR = "__"
# A server that goes on listing after so many pages is not listened to.
MOST_PAGES = 200
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}\Z")
_NOTHING = object()
_UNUSUAL = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A server, by the prefix of its tools; the prefix is empty for the only server."""

    name: str
    client: Client


@dataclass(frozen=True, slots=True)
class KnownTool:
    """A tool of an upstream. `name` is what clients and policies call it, `definition` is what the server says about
    it."""

    name: str
    upstream: Upstream
    tool: types.Tool

    @property
    def mapping(self) -> Any:
        """What its server declares of decisions about calls of it; None where it declares nothing."""
        declared = self.tool.input_schema.get(DECLARED, _NOTHING)
        return None if declared is _NOTHING else declared or {}

    @property
    def definition(self) -> dict[str, Any]:
        """All that a client reads of it, but for its name here."""
        return self.tool.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"meta"})


async def tools(upstreams: Iterable[Upstream]) -> dict[str, KnownTool]:
    """All tools, by their names here; none whose name is not usable or could be mistaken for another's. Raises what
    the client raises where a server cannot be asked: then nothing is known."""
    tools_known = [known for upstream in upstreams for known in await _of(upstream)]
    usable = [(known, _sanitised(known.name)) for known in tools_known if _NAME.match(known.name)]
    same = Counter(plain for _, plain in usable)
    return {known.name: known for known, plain in usable if same[plain] == 1}


async def _of(upstream: Upstream) -> list[KnownTool]:
    tools_known: list[KnownTool] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        # Past the client's own cache: it would list what the server had before it said that its tools changed.
        page = await upstream.client.list_tools(cursor=cursor, cache_mode="bypass")
        tools_known += [KnownTool(f"{_prefix(upstream)}{tool.name}", upstream, tool) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None:
            return tools_known
    raise ValueError("the server's list of tools does not end")


async def listed(upstreams: Iterable[Upstream], kind: str) -> list[tuple[Upstream, Any]]:
    """All resources, templates or prompts. A prompt is called `SERVER__PROMPT`; what two servers say that they have is
    withheld. Raises what the client raises where a server cannot be asked."""
    things: list[tuple[Upstream, Any]] = []
    for upstream in upstreams:
        things += [(upstream, one) for one in await _kind(upstream, kind)]
    same = Counter(_sanitised(one.name) if kind == "prompts" else _place(one) for _, one in things)
    return [(up, one) for up, one in things if same[_sanitised(one.name) if kind == "prompts" else _place(one)] == 1]


async def _kind(upstream: Upstream, kind: str) -> list[Any]:
    offered = upstream.client.server_capabilities
    if (offered.prompts if kind == "prompts" else offered.resources) is None:
        return []
    things: list[Any] = []
    cursor: str | None = None
    for _ in range(MOST_PAGES):
        page: Any
        match kind:
            case "resources":
                page = await upstream.client.list_resources(cursor=cursor, cache_mode="bypass")
                things += page.resources
            case "templates":
                page = await upstream.client.list_resource_templates(cursor=cursor, cache_mode="bypass")
                things += page.resource_templates
            case _:
                page = await upstream.client.list_prompts(cursor=cursor, cache_mode="bypass")
                things += [one.model_copy(update={"name": f"{_prefix(upstream)}{one.name}"}) for one in page.prompts]
        cursor = page.next_cursor
        if cursor is None:
            return things
    raise ValueError(f"the server's list of {kind} does not end")


def _place(one: Any) -> str:
    return str(one.uri if hasattr(one, "uri") else one.uri_template)


def _prefix(upstream: Upstream) -> str:
    return f"{upstream.name}{SEPARATOR}" if upstream.name else ""


def behind_prompt(upstreams: Iterable[Upstream], name: str) -> tuple[Upstream, str]:
    """The server whose prompt this is, and its name there. Raises LookupError where there is none, or where it could be
    the prompt of two."""
    upstreams_named = [one for one in upstreams if name.startswith(_prefix(one))]
    if len(upstreams_named) != 1:
        raise LookupError("there is no such prompt here")
    return upstreams_named[0], name.removeprefix(_prefix(upstreams_named[0]))


def _sanitised(name: str) -> str:
    return _UNUSUAL.sub("_", unicodedata.normalize("NFKC", name).casefold())


def definitions(known: Mapping[str, KnownTool]) -> dict[str, dict[str, Any]]:
    return {name: one.definition for name, one in known.items()}
