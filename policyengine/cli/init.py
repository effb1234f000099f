"""`policyengine init`: a working project to start from."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from policyengine.cli.console import FAILED, fail, note, say
from policyengine.cli.loading import QuietOption
from policyengine.diagnostics.safe_text import visible

SCAFFOLD = Path(__file__).parent / "scaffold"


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="where to put the project")] = Path(),
    quiet: QuietOption = False,
) -> None:
    """Make a new project: policies with tests, entities, example requests.

    Nothing that exists is overwritten. Exit status: 0 done, 1 cannot write, 2 some of its files exist already.
    """
    files = sorted(path.relative_to(SCAFFOLD) for path in SCAFFOLD.rglob("*") if path.is_file())
    taken = [str(directory / file) for file in files if os.path.lexists(directory / file)]
    if os.path.lexists(directory) and not os.path.isdir(directory):
        fail(f"{directory} is not a directory")
    if taken:
        fail(f"already there: {', '.join(taken)}", "choose another directory; nothing was written")
    for file in files:
        try:
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            (directory / file).write_bytes((SCAFFOLD / file).read_bytes())
        except OSError as error:
            fail(f"cannot write {directory / file}: {(error.strerror or 'not writable').lower()}", status=FAILED)
        if not quiet:
            note(f"wrote {visible(str(directory / file))}")
    if not quiet:
        _next_steps(directory)


def _next_steps(directory: Path) -> None:
    commands = [
        ("check policies", "are they valid?"),
        ("test policies", "do they do what their tests say?"),
        ("decide policies -e entities.json -r requests/allow.json", "the decision about one request"),
        ("explain policies -e entities.json -r requests/deny.json", "why it is denied"),
        ("serve policies -e entities.json --new-key", "answer over HTTP"),
    ]
    say("\nNext:")
    if directory != Path():
        say(f"  cd {shlex.quote(visible(str(directory)))}")
    for command, what in commands:
        say(f"  policyengine {command:<56}  # {what}")
