"""The command line put together: every command under its name."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from policyengine.cli.check import check
from policyengine.cli.console import prepare_streams, say
from policyengine.cli.decide import decide
from policyengine.cli.explain import explain
from policyengine.cli.filter import filter_
from policyengine.cli.fmt import fmt
from policyengine.cli.init import init
from policyengine.cli.schema import schema
from policyengine.cli.serve import serve
from policyengine.cli.test import test

app = typer.Typer(
    name="policyengine",
    help="Policies for AI systems: check them, test them, and answer with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: policyengine init my-policies",
)
app.command()(check)
app.command()(fmt)
app.command()(test)
app.command()(decide)
app.command()(explain)
app.command("filter")(filter_)
app.command()(serve)
app.command()(init)
app.add_typer(schema, name="schema")


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"policyengine {version('policyengine')}")
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    prepare_streams()
