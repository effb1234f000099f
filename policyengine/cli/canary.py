"""`policyengine canary`: tokens that are planted in prompts, documents and the data of tenants, made, listed and
forgotten."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from policyengine.callers.key_views import date
from policyengine.cli.console import FAILED, fail, note, say, say_json, say_table
from policyengine.cli.loading import JsonOption, QuietOption
from policyengine.cli.texts import remembered_in
from policyengine.detect.content import canary
from policyengine.diagnostics.safe_text import visible
from policyengine.diagnostics.suggest import did_you_mean
from policyengine.settings import canaries
from policyengine.settings.canaries import PLACES, Planted

app = typer.Typer(help="Canaries: tokens that show what has leaked.", no_args_is_help=True)

LONGEST_NAME = 256
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", metavar="FILE", show_default=False,
        help="where they are kept; else POLICYENGINE_TEXTS__CANARY_FILE or .policyengine/canaries.json",
    ),
]  # fmt: skip


def _place(what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(metavar="NAME", help=what, show_default=False)
    return option


@app.command()
def mint(
    tenant: Annotated[str | None, _place("the tenant in whose data it will stand")] = None,
    prompt: Annotated[str | None, _place("the system prompt that it will stand in")] = None,
    document: Annotated[str | None, _place("the document that it will stand in")] = None,
    file: FileOption = None,
    json_: JsonOption = False,
) -> None:
    """Make a canary for one tenant, system prompt or document, remember it, and print it.

    Put it there, and nowhere else. Finders that use this file find it, however it is written.
    """
    given = [(place, name) for place, name in zip(PLACES, (tenant, prompt, document), strict=True) if name is not None]
    if len(given) != 1:
        fail("a canary is for one of --tenant, --prompt and --document")
    [(place, name)] = given
    if not 0 < len(name) <= LONGEST_NAME:
        fail(f"--{place}: a name has 1 to {LONGEST_NAME} characters")
    planted = Planted(canary.mint(os.urandom(canary.BYTES)), place, name, int(time.time()))
    try:
        canaries.add(remembered_in(file), planted)
    except ValueError as error:
        fail(visible(str(error)), status=FAILED)
    if json_:
        say_json({**_public(planted), "token": planted.token})
        return
    say(planted.token)
    note(visible(f"canary {planted.id}, for the {place} {name}"))


@app.command("list")
def list_(file: FileOption = None, json_: JsonOption = False) -> None:
    """List the canaries that are looked for. No token is shown."""
    known = _known(remembered_in(file))
    if json_:
        say_json([_public(planted) for planted in known])
        return
    say_table(
        ("id", "for", "name", "made"),
        [(planted.id, planted.place, planted.name, date(planted.made)) for planted in known],
    )


@app.command()
def forget(
    id_: Annotated[str, typer.Argument(metavar="ID", help="as `list` shows it", show_default=False)],
    file: FileOption = None,
    quiet: QuietOption = False,
) -> None:
    """Stop looking for a canary. A running service goes on looking for it until it is restarted."""
    path = remembered_in(file)
    known = _known(path)
    try:
        forgotten = canaries.forget(path, id_)
    except ValueError as error:
        fail(visible(str(error)), did_you_mean(id_, [planted.id for planted in known]) or "", status=FAILED)
    if not quiet:
        note(visible(f"canary {forgotten.id}, for the {forgotten.place} {forgotten.name}, is forgotten"))


def _known(path: Path) -> tuple[Planted, ...]:
    try:
        return canaries.read(path)
    except ValueError as error:
        fail(visible(str(error)), "`policyengine canary mint` makes the first", status=FAILED)


def _public(planted: Planted) -> dict[str, object]:
    return {"id": planted.id, planted.place: planted.name, "made": planted.made}
