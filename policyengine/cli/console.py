"""How commands speak: one console for results, one for everything else, and the ways to end.

Colour only on a terminal and never under NO_COLOR. Callers escape whatever comes from outside.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from errno import EBADF
from io import TextIOWrapper
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from policyengine.diagnostics import render
from policyengine.diagnostics.diagnostic import Diagnostic
from policyengine.diagnostics.safe_text import visible

FAILED, USAGE, DENY, OWES = 1, 2, 3, 4
# Text that goes to a file or a pipe is laid out for a comfortable reading width.
_PIPE_WIDTH = 100


def stdout() -> Console:
    return _console(stderr=False)


def stderr() -> Console:
    return _console(stderr=True)


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False)
    if console.no_color:
        console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, color_system=None)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    return console


def colored(console: Console) -> bool:
    return console.is_terminal and not console.no_color and not console.is_dumb_terminal


def say(text: str) -> None:
    """One line of a result, which the caller has made safe."""
    typer.echo(text)


def note(text: str) -> None:
    """One line about a result, on standard error. If that cannot be written, only the exit status tells."""
    with suppress(OSError):
        typer.echo(text, err=True)


def say_table(titles: Sequence[str], rows: Iterable[Sequence[str]], whole: Collection[str] = ()) -> None:
    """Rows of texts under their titles, each text safe to show. `whole` are the titles of columns that people copy
    from: their texts stay on one line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold", no_wrap=title in whole)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    stdout().print(table)


def say_json(value: Any) -> None:
    typer.echo(json_text(value))


def json_text(value: Any) -> str:
    """JSON for people and machines: indented, readable in any language, without terminal control characters."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return "\n".join(visible(line) for line in text.split("\n"))


def unusable(error: OSError) -> str:
    """A message that says what cannot be read or written, and why."""
    if error.errno is None:
        return str(error)
    if error.errno == EBADF and error.filename is None:
        return "standard output is closed"
    where = f" {error.filename}" if error.filename else ""
    return f"cannot read or write{where}: {(error.strerror or str(error)).lower()}"


def fail(message: str, help_: str = "", status: int = USAGE) -> NoReturn:
    """End with a message that says what is wrong and, in `help_`, what to do."""
    console = stderr()
    head = "\x1b[1;31merror\x1b[0m:" if colored(console) else "error:"
    note(f"{head} {visible(message)}")
    if help_:
        note(f"  = help: {visible(help_)}")
    raise typer.Exit(status)


def report(diagnostics: Iterable[Diagnostic], console: Console) -> None:
    """Diagnostics for people, and how many there are."""
    listed = list(diagnostics)
    for diagnostic in listed:
        console.out(render.human(diagnostic, colored(console)), highlight=False)
        console.out("")
    if listed:
        console.out(render.summary(listed), highlight=False)


def stand_in_for_closed_streams() -> None:
    """Give closed standard streams a descriptor. Otherwise a file that is opened later would take the number: an event
    loop ends the process over that, and children would inherit the file as a standard stream. Writing a result fails,
    as on a full disk; messages to standard error are lost; standard input stays None."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number. Any use of the stream fails: reading from the first, writing to the second.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY if number == 1 else os.O_WRONLY), True)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def prepare_streams() -> None:
    """Print characters that cannot be encoded as escapes, rather than fail half way."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
