"""The commands by name. Each is imported when it runs, or when help lists it.

A command starts for every file that an editor saves, and most need neither the settings nor the libraries of the
service. The file of a command imports what it needs at its top, as all files do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from policyengine.cli.strict_options import Command

# In the order of the help: the file of each command, and the function or the group in it.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "check": ("check", "check"),
    "fmt": ("fmt", "fmt"),
    "test": ("test", "test"),
    "decide": ("decide", "decide"),
    "authorize": ("authorize", "authorize"),
    "explain": ("explain", "explain"),
    "filter": ("filter", "filter_"),
    "release": ("release", "release"),
    "admit": ("release", "admit"),
    "detokenize": ("release", "detokenize"),
    "scan": ("scan", "scan"),
    "serve": ("serve", "serve"),
    "init": ("init", "init"),
    "schema": ("schema", "schema"),
    "keys": ("keys", "app"),
    "canary": ("canary", "app"),
    "state": ("state", "app"),
    "approvals": ("approvals", "app"),
    "mcp": ("mcp", "app"),
}


class Commands(TyperGroup):
    """The group of all commands."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**{**given, "commands": _ByName()})


class _ByName(Mapping[str, Any]):
    """The commands as the group looks them up."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        return _command(*COMMANDS[name], name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


@cache
def _command(file: str, attribute: str, name: str) -> Any:
    found = getattr(import_module(f"policyengine.cli.{file}"), attribute)
    alone = typer.Typer()
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=name)
    else:
        alone.command(name, cls=Command)(found)
    return typer.main.get_group(alone).commands[name]
