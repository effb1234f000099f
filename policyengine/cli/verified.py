"""What the caller of a command says it has verified: approvals, by the rules that demand them."""

from __future__ import annotations

from typing import Annotated

import typer

from policyengine.cli.console import fail
from policyengine.compile.verified import approvals
from policyengine.engine import Engine

ApprovedOption = Annotated[
    list[str] | None,
    typer.Option("--approved", metavar="RULE,...", help="rules whose approval was verified for exactly this request"),
]


def read_approved(given: list[str] | None, engine: Engine) -> frozenset[str]:
    """The rules that --approved names; ends the command for any that demands no approval."""
    names = [name.strip() for one in given or () for name in one.split(",")]
    try:
        return approvals(names, engine.snapshot.evaluator.approvals)
    except TypeError as error:
        fail(f"--approved: {str(error).removeprefix('`approved`: ')}")
