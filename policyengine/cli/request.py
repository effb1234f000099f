"""Request files: JSON to the arguments of `Engine.decide`, as the contract in `authzen/` reads them.

Anything that is not a request ends the command with a message; it is never turned into a deny.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from policyengine.authzen import read
from policyengine.authzen.engine_arguments import DecideArguments
from policyengine.authzen.errors import Malformed
from policyengine.cli.console import fail
from policyengine.cli.loading import existing_file, read_json

T = TypeVar("T")

RequestOption = Annotated[
    Path,
    typer.Option(
        "--request", "-r", metavar="FILE", help="the request as JSON; - for standard input", show_default=False
    ),
]

_SHAPE = '{"principal": {"type", "id", ...}, "action": "NAME", "resource": {"type", "id", ...}, "context": {...}}'


def read_request(path: Path) -> DecideArguments:
    """The arguments of `Engine.decide`."""
    existing_file(path, "--request")
    value = read_json(path, "--request")
    if type(value) is dict and "evaluations" in value:
        fail(
            "this is a batch of requests",
            "ask them one by one, or over HTTP with `policyengine serve`",
        )
    return understood(read.request_file, value, "", f"a request is {_SHAPE}, or AuthZEN's")


def understood(reader: Callable[[Any], T], value: Any, option: str, help_: str) -> T:
    """The result of a reader of the contract; if it refuses the value, the command ends."""
    place = f"{option}: " if option else ""
    try:
        return reader(value)
    except Malformed as error:
        fail(f"{place}{error.message}", help_)
    except RecursionError:
        fail(f"{place}the request is nested too deeply", help_)
