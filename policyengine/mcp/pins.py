"""Pins: what tools looked like when somebody last reviewed them.

A server can change the description or schema of a tool after it was approved, and so tell a model something else. A pin
is the digest of a tool's definition. A tool without a pin, or with another digest, is withheld until somebody pins it
again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio

from policyengine.mcp.upstream import KnownTool

VERSION = 1
# So many tools are compared with their pins until the event loop has its turn.
SLICE = 100


class WrongPins(ValueError):
    """The file holds no pins. The message names it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A tool that is not as it was pinned: new, changed, or gone."""

    tool: str
    what: str


def pins_of(tools: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The digest of each tool's definition, by its name: of all that a model or a client reads of it."""
    return {name: _digest(definition) for name, definition in sorted(tools.items())}


def differences(pinned: Mapping[str, str], tools: Mapping[str, Mapping[str, Any]]) -> list[Difference]:
    """What is not as it was, sorted by name."""
    now = pins_of(tools)
    changes = [Difference(name, "new") for name in now.keys() - pinned.keys()]
    changes += [Difference(name, "gone") for name in pinned.keys() - now.keys()]
    changes += [Difference(name, "changed") for name in now.keys() & pinned.keys() if now[name] != pinned[name]]
    return sorted(changes, key=lambda one: one.tool)


async def as_pinned(tools: Mapping[str, KnownTool], pinned: Mapping[str, str]) -> dict[str, KnownTool]:
    """Those that are as they were pinned."""
    kept = {}
    for number, (name, known) in enumerate(tools.items(), 1):
        if name in pinned and pinned[name] == _digest(known.definition):
            kept[name] = known
        if not number % SLICE:
            await anyio.sleep(0)
    return kept


def read_pins(path: Path) -> dict[str, str]:
    """Raises WrongPins for a file that cannot be read, or holds no pins."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise WrongPins(f"{path}: no pins can be read from it") from None
    tools = value.get("tools") if isinstance(value, dict) and value.get("version") == VERSION else None
    if not isinstance(tools, dict) or not all(isinstance(pin, str) for pin in tools.values()):
        raise WrongPins(f"{path}: these are not pins")
    return tools


def write_pins(path: Path, pins: Mapping[str, str]) -> None:
    """Raises OSError."""
    text = json.dumps({"version": VERSION, "tools": dict(sorted(pins.items()))}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def _digest(definition: Mapping[str, Any]) -> str:
    text = json.dumps(definition, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + sha256(text.encode("ascii")).hexdigest()
