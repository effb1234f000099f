"""What commands read: policies, entities, and single files or standard input. Ends the command where it cannot."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from policyengine.bundle import InvalidPolicies, Loaded, load_path, load_text
from policyengine.cli.console import FAILED, fail, report, stderr
from policyengine.diagnostics.diagnostic import has_errors
from policyengine.engine import Engine
from policyengine.events.sink import Sink
from policyengine.model.json_text import parse_json
from policyengine.model.values import Fault
from policyengine.release.inspection import Inspection
from policyengine.state.store import Store
from policyengine.warm.cache import open_cache
from policyengine.warm.collector import paused

STDIN = "-"

PolicyPath = Annotated[
    Path, typer.Argument(metavar="PATH", help="a directory of .pol files, or one file", show_default=False)
]
EntitiesOption = Annotated[
    Path | None,
    typer.Option("--entities", "-e", metavar="FILE", help="a JSON file with a list of entities", show_default=False),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="print problems only")]
CacheOption = Annotated[bool, typer.Option("--cache/--no-cache", help="cache checked policies for the next run")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON")]


def existing(path: Path, what: str = "") -> Path:
    """The path, if it exists. `what` names the option that it came from."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        parent = path.parent
        near = sorted(p.name for p in parent.glob("*.pol"))[:5] if os.path.isdir(parent) and not what else []
        help_ = f"there is {', '.join(near)}" if near else "check the path; `policyengine init` makes a new project"
        fail(f"{what + ': ' if what else ''}no such file or directory: {path}", "" if what else help_)
    except OSError as error:
        fail(f"{what + ': ' if what else ''}cannot read {path}: {(error.strerror or 'unreadable').lower()}")
    return path


def load_engine(
    path: Path,
    entities: Path | None = None,
    cache: bool = True,
    inspection: Inspection | None = None,
    state: str | Store = "memory://",
    events: Sink | None = None,
    named: str = "",
) -> Engine:
    """The policies, ready to decide; with errors, they are reported and the command ends. `named` is the option that
    names them."""
    existing(path, named)
    existing_file(entities, "--entities")
    try:
        return Engine.load(
            path, entities=entities, cache=cache, pause_gc=True, inspection=inspection, state=state, events=events
        )
    except InvalidPolicies as invalid:
        report(invalid.diagnostics, stderr())
        raise typer.Exit(FAILED) from None


def load(path: Path, cache: bool = True, entities: Path | None = None) -> Loaded:
    """The policies at a path, or those on standard input, whatever their state."""
    existing_file(entities, "--entities")
    if str(path) == STDIN:
        return load_text(read_text(path), "stdin", entities)
    existing(path)
    with paused():
        return load_path(path, entities, cache=open_cache() if cache else None)


def load_valid(path: Path, cache: bool = True) -> Loaded:
    """The policies at a path; with errors, they are reported and the command ends."""
    loaded = load(path, cache)
    if has_errors(loaded.diagnostics):
        report(loaded.diagnostics, stderr())
        raise typer.Exit(FAILED)
    return loaded


def existing_file(path: Path | None, option: str) -> Path | None:
    if path is not None and str(path) != STDIN and os.path.isdir(existing(path, option)):
        fail(f"{option}: {path} is a directory", "name a file")
    return path


def read_bytes(path: Path, option: str = "") -> bytes:
    """A file, or standard input for `-`."""
    try:
        if str(path) == STDIN:
            if sys.stdin is None:
                fail("standard input is closed", "name a file")
            return sys.stdin.buffer.read()
        return existing(path, option).read_bytes()
    except IsADirectoryError:
        fail(f"{option + ': ' if option else ''}{path} is a directory", "name a file, or - for standard input")
    except OSError as error:
        fail(f"cannot read {path}: {(error.strerror or 'unreadable').lower()}")


def read_text(path: Path) -> str:
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{_name(path)} is not UTF-8 text", "save it as UTF-8")


def read_json(
    path: Path, option: str = "", parse: Callable[[bytes], Any] = parse_json, expected: str = "expected one JSON value"
) -> Any:
    """One JSON value from a file or standard input, read strictly; `parse` may accept more than one."""
    data = read_bytes(path, option)
    if not data.strip():
        fail(f"{_name(path)} is empty", expected)
    try:
        return parse(data)
    except Fault as fault:
        fail(f"{_name(path)}: {fault.message}", "" if parse is parse_json else expected)


def _name(path: Path) -> str:
    return "standard input" if str(path) == STDIN else str(path)
