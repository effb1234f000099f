"""What the caller of a command claims to have verified: approvals, named by the rules that demand them, and limits that
it meters."""

from __future__ import annotations

from typing import Annotated

import typer

from policyengine.cli.console import fail
from policyengine.compile.approvals_and_meters import approvals, meters
from policyengine.engine import Engine

ApprovedOption = Annotated[
    list[str] | None,
    typer.Option("--approved", metavar="RULE,...", help="rules whose approval was verified for exactly this request"),
]


def read_approved(given: list[str] | None, engine: Engine) -> frozenset[str]:
    """The rules that --approved names. A rule that demands no approval ends the command."""
    names = [name.strip() for option in given or () for name in option.split(",")]
    try:
        return approvals(names, engine.snapshot.evaluator.approvals)
    except TypeError as error:
        fail(f"--approved: {str(error).removeprefix('`approved`: ')}")


MeteredOption = Annotated[
    list[str] | None,
    typer.Option("--metered", metavar="LIMIT,...", help="limits that the caller meters; `all` for all of them"),
]


def read_metered(given: list[str] | None, engine: Engine) -> frozenset[str]:
    """The limits that --metered names. A name that is not a limit ends the command."""
    names = [name.strip() for option in given or () for name in option.split(",")]
    limits = engine.snapshot.evaluator.limits
    try:
        return meters(True if names == ["all"] else names, limits)
    except TypeError as error:
        fail(f"--metered: {str(error).removeprefix('`metered`: ')}")
