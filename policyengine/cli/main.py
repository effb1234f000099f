"""The command line put together: the commands, what all of them share, and how the process ends."""

from __future__ import annotations

import os
import sys
from errno import EPIPE
from functools import cached_property
from typing import Annotated, Any, NoReturn

import typer

from policyengine.cli.commands import Commands
from policyengine.cli.console import FAILED, note, prepare_streams, say, stand_in_for_closed_streams, unusable
from policyengine.compile.native import NATIVE
from policyengine.diagnostics.safe_text import visible
from policyengine.lazy_import import log_to_standard_error
from policyengine.version import DISTRIBUTION, VERSION, other_package


class _App(typer.Typer):
    """The command as a process. It ends with a status and, if something went wrong, a line that says what, even if no
    output can be written."""

    @cached_property
    def commands(self) -> Any:
        return typer.main.get_command(self)

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        status: object = 0
        stand_in_for_closed_streams()
        log_to_standard_error()
        try:
            self.commands(*args, **{"prog_name": "policyengine", **kwargs})
        except SystemExit as ended:
            status = ended.code
        except OSError as error:
            status = _cannot(error)
        try:
            sys.stdout.flush()
        except OSError as error:
            status = status or _cannot(error)
            # Otherwise Python would try to write it again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(status)  # type: ignore[arg-type]


def _cannot(error: OSError) -> int:
    # A reader that stops reading has what it wanted.
    if error.errno != EPIPE:
        note(visible(f"error: {unusable(error)}"))
    return FAILED


app = _App(
    name="policyengine",
    cls=Commands,
    help="Policies for AI systems: check them, test them, and decide with them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: policyengine init my-policies",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"policyengine {VERSION} ({DISTRIBUTION}, checks in {'C' if NATIVE is not None else 'Python'})")
        if other := other_package():
            note(visible(f"warning: {other}"))
        raise typer.Exit


@app.callback()
def main(
    show_version: Annotated[
        bool, typer.Option("--version", "-V", callback=_show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    prepare_streams()
